-- Reasons of the channel fragmentation. Grain: one row per claim. Input: suspects.
WITH told AS (
    SELECT
        *,
        inacbg_base(inacbg_code) AS base,
        if(
            fragment_gap_days = 0,
            'pulang dan masuk lagi pada hari yang sama',
            format('{} hari antara pulang dan masuk', fragment_gap_days)
        ) AS gap_id,
        if(
            fragment_gap_days = 0,
            'discharged and admitted on the same day',
            format('{} between discharge and admission', days_en(fragment_gap_days))
        ) AS gap_en,
        format(
            '{}{} dari {}', only_id(fragment_alike / fragment_n), count_id(fragment_alike), count_id(fragment_n)
        ) AS alike_id,
        format(
            '{}{} of {}', only_en(fragment_alike / fragment_n), count_en(fragment_alike), count_en(fragment_n)
        ) AS alike_en,
        plural_en(fragment_alike, 'is', 'are') AS are_en
    FROM suspects
)

SELECT
    claim_id,
    'fragmentation' AS code,
    surprise_fragmentation AS strength,
    is_rare(fragment_share) AS telling, -- of others' stays or visits
    CASE fragment_by
        WHEN 'stay'
            THEN
                format(
                    'rawat inap lain pasien yang sama di faskes ini dengan {}{} (klaim {}), {}; {} rawat inap {} '
                    'bersambung seperti ini',
                    base,
                    if(fragment_same, ', keparahan dan diagnosis sekunder yang sama', ''),
                    fragment_of,
                    gap_id,
                    alike_id,
                    base
                )
        WHEN 'other_stay'
            THEN
                format(
                    'rawat inap lain pasien yang sama di faskes ini dengan INA-CBG lain (klaim {}), {}; {} rawat inap '
                    '{} seperti ini',
                    fragment_of,
                    gap_id,
                    alike_id,
                    base
                )
        WHEN 'admission'
            THEN
                format(
                    'pasien berobat jalan di faskes yang sama pada hari masuk rawat inap ini (klaim {}); {} rawat inap '
                    '{} seperti ini',
                    fragment_of,
                    alike_id,
                    base
                )
        ELSE
            format(
                '{} hari setelah kunjungan lain pasien yang sama di faskes ini untuk diagnosis utama yang sama '
                '(klaim {}), dengan INA-CBG atau tindakan lain; {} kunjungan {} seperti ini',
                fragment_gap_days,
                fragment_of,
                alike_id,
                base
            )
    END || habit_id('fragmentation', habit_pattern, habit_observed, habit_expected) AS text_id,
    CASE fragment_by
        WHEN 'stay'
            THEN
                format(
                    'another stay of the same patient at this facility with {}{} (claim {}), {}; {} stays with {} {} '
                    'continued like this',
                    base,
                    if(fragment_same, ', the same severity and secondary diagnoses', ''),
                    fragment_of,
                    gap_en,
                    alike_en,
                    base,
                    are_en
                )
        WHEN 'other_stay'
            THEN
                format(
                    'another stay of the same patient at this facility with another INA-CBG (claim {}), {}; {} stays '
                    'with {} {} like this',
                    fragment_of,
                    gap_en,
                    alike_en,
                    base,
                    are_en
                )
        WHEN 'admission'
            THEN
                format(
                    'the patient came to the same facility as an outpatient on the day of this admission (claim {}); '
                    '{} stays with {} {} like this',
                    fragment_of,
                    alike_en,
                    base,
                    are_en
                )
        ELSE
            format(
                '{} after another visit of the same patient at this facility for the same primary diagnosis (claim '
                '{}), with another INA-CBG or other procedures; {} visits with {} {} like this',
                days_en(fragment_gap_days),
                fragment_of,
                alike_en,
                base,
                are_en
            )
    END || habit_en('fragmentation', habit_pattern, habit_observed, habit_expected) AS text_en,
    with_habit(
        json_object(
            'inacbg_base', base, 'fragment_by', fragment_by, 'fragment_of', fragment_of,
            'fragment_gap_days', fragment_gap_days, 'fragment_same', fragment_same,
            'fragment_alike', fragment_alike, 'fragment_n', fragment_n
        ),
        'fragmentation', habit_pattern, habit_observed, habit_expected
    ) AS figures
FROM told
WHERE surprise_fragmentation >= $reason_from
