-- Reasons of the channel fragmentation. Grain: one row per claim. Input: suspects.
SELECT
    claim_id,
    'fragmentation' AS code,
    surprise_fragmentation AS strength,
    is_rare(fragment_alike / fragment_n) AS telling,
    format(
        'rawat inap lain pasien yang sama di faskes ini dengan {}, {}; {}{} dari {} rawat inap seperti itu begini',
        inacbg_base(inacbg_code),
        if(
            fragment_gap_days = 0,
            'pulang dan masuk lagi pada hari yang sama',
            format('{} hari antara pulang dan masuk', fragment_gap_days)
        ),
        only_id(fragment_alike / fragment_n),
        count_id(fragment_alike),
        count_id(fragment_n)
    ) AS text_id,
    format(
        'another stay of the same patient at this facility with {}, {}; {}{} of {} such stays {} like that',
        inacbg_base(inacbg_code),
        if(
            fragment_gap_days = 0,
            'discharged and admitted on the same day',
            format('{} between discharge and admission', days_en(fragment_gap_days))
        ),
        only_en(fragment_alike / fragment_n),
        count_en(fragment_alike),
        count_en(fragment_n),
        plural_en(fragment_alike, 'is', 'are')
    ) AS text_en,
    json_object(
        'fragment_gap_days', fragment_gap_days, 'fragment_alike', fragment_alike, 'fragment_n', fragment_n
    ) AS figures
FROM suspects
WHERE surprise_fragmentation >= $reason_from
