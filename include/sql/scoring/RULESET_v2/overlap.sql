-- Reasons of the channel overlap. Grain: one row per claim. Input: suspects.
SELECT
    claim_id,
    'overlap' AS code,
    surprise_overlap AS strength,
    is_rare(overlap_share) AS telling, -- the claim itself left out
    if(
        overlap_weekday IS NOT NULL,
        format(
            'kunjungan pada hari {}: {}{} dari {} kunjungan {} jatuh pada hari itu; faskes ini jarang buka hari itu',
            weekday_id(overlap_weekday),
            only_id(overlap_alike / overlap_n),
            count_id(overlap_alike),
            count_id(overlap_n),
            inacbg_base(inacbg_code)
        ),
        if(
            overlap_died,
            format(
                'pasien tercatat meninggal di {} (klaim {}) {} hari sebelum klaim ini dimulai; {}{} dari {} pasien '
                'yang tercatat meninggal masih punya klaim sesudahnya',
                if(overlap_elsewhere, 'faskes lain', 'faskes yang sama'),
                overlap_of,
                overlap_day,
                only_id(overlap_alike / overlap_n),
                count_id(overlap_alike),
                count_id(overlap_n)
            ),
            format(
                if(
                    overlap_visit,
                    'pasien berobat jalan di {} (klaim {}) selama rawat inap ini (LOS {} hari), {} hari setelah masuk; '
                    || '{}{} dari {} rawat inap {} seperti ini',
                    'pasien sedang dirawat inap di {} (klaim {}, LOS {} hari) ketika klaim ini dimulai, {} hari '
                    || 'setelah masuk; {}{} dari {} klaim {} seperti ini'
                ),
                if(overlap_elsewhere, 'faskes lain', 'faskes yang sama'),
                overlap_of,
                overlap_los,
                overlap_day,
                only_id(overlap_alike / overlap_n),
                count_id(overlap_alike),
                count_id(overlap_n),
                inacbg_base(inacbg_code)
            )
        )
    ) || habit_id('overlap', habit_pattern, habit_observed, habit_expected) AS text_id,
    if(
        overlap_weekday IS NOT NULL,
        format(
            'a visit on a {}: {}{} of {} visits with {} {} on that day of the week; this facility seldom sees patients '
            'then',
            weekday_en(overlap_weekday),
            only_en(overlap_alike / overlap_n),
            count_en(overlap_alike),
            count_en(overlap_n),
            inacbg_base(inacbg_code),
            plural_en(overlap_alike, 'falls', 'fall')
        ),
        if(
            overlap_died,
            format(
                'the patient is on record as having died at {} facility (claim {}) {} before this claim began; {}{} '
                'of {} patients on record as dead {} a claim afterwards',
                if(overlap_elsewhere, 'another', 'the same'),
                overlap_of,
                days_en(overlap_day),
                only_en(overlap_alike / overlap_n),
                count_en(overlap_alike),
                count_en(overlap_n),
                plural_en(overlap_alike, 'has', 'have')
            ),
            format(
                if(
                    overlap_visit,
                    'the patient came to {} facility as an outpatient (claim {}) during this stay (LOS {}), {} after '
                    || 'its admission; {}{} of {} stays with {} {} like this',
                    'the patient was in hospital at {} facility (claim {}, LOS {}) when this claim began, {} after '
                    || 'that admission; {}{} of {} claims with {} {} like this'
                ),
                if(overlap_elsewhere, 'another', 'the same'),
                overlap_of,
                days_en(overlap_los),
                days_en(overlap_day),
                only_en(overlap_alike / overlap_n),
                count_en(overlap_alike),
                count_en(overlap_n),
                inacbg_base(inacbg_code),
                plural_en(overlap_alike, 'is', 'are')
            )
        )
    ) || habit_en('overlap', habit_pattern, habit_observed, habit_expected) AS text_en,
    with_habit(
        json_object(
            'inacbg_base', inacbg_base(inacbg_code), 'service_type', service_type, 'overlap_of', overlap_of,
            'overlap_day', overlap_day, 'overlap_los', overlap_los, 'overlap_visit', overlap_visit,
            'overlap_died', overlap_died,
            'overlap_weekday', overlap_weekday, 'overlap_elsewhere', overlap_elsewhere,
            'overlap_alike', overlap_alike, 'overlap_n', overlap_n
        ),
        'overlap', habit_pattern, habit_observed, habit_expected
    ) AS figures
FROM suspects
WHERE surprise_overlap >= $reason_from
