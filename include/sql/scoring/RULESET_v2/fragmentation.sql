-- Reasons of the channel fragmentation. Grain: one row per claim. Input: suspects.
SELECT
    claim_id,
    'fragmentation' AS code,
    surprise_fragmentation AS strength,
    is_rare(fragment_share) AS telling, -- of others' stays
    format(
        'rawat inap lain pasien yang sama di faskes ini dengan {} (klaim {}), {}; {}{} dari {} rawat inap {} '
        'bersambung seperti ini',
        inacbg_base(inacbg_code),
        fragment_of,
        if(
            fragment_gap_days = 0,
            'pulang dan masuk lagi pada hari yang sama',
            format('{} hari antara pulang dan masuk', fragment_gap_days)
        ),
        only_id(fragment_alike / fragment_n),
        count_id(fragment_alike),
        count_id(fragment_n),
        inacbg_base(inacbg_code)
    ) || habit_id('fragmentation', habit_pattern, habit_observed, habit_expected) AS text_id,
    format(
        'another stay of the same patient at this facility with {} (claim {}), {}; {}{} of {} stays with {} {} '
        'continued like this',
        inacbg_base(inacbg_code),
        fragment_of,
        if(
            fragment_gap_days = 0,
            'discharged and admitted on the same day',
            format('{} between discharge and admission', days_en(fragment_gap_days))
        ),
        only_en(fragment_alike / fragment_n),
        count_en(fragment_alike),
        count_en(fragment_n),
        inacbg_base(inacbg_code),
        plural_en(fragment_alike, 'is', 'are')
    ) || habit_en('fragmentation', habit_pattern, habit_observed, habit_expected) AS text_en,
    with_habit(
        json_object(
            'inacbg_base', inacbg_base(inacbg_code), 'fragment_of', fragment_of,
            'fragment_gap_days', fragment_gap_days, 'fragment_alike', fragment_alike, 'fragment_n', fragment_n
        ),
        'fragmentation', habit_pattern, habit_observed, habit_expected
    ) AS figures
FROM suspects
WHERE surprise_fragmentation >= $reason_from
