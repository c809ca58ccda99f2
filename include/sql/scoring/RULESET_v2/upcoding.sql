-- Reasons of the channel upcoding, by what says more: the severity against the stay and its secondary diagnoses, or the
-- INA-CBG against the admission diagnosis. Grain: one row per claim. Input: suspects.
SELECT
    claim_id,
    'upcoding' AS code,
    surprise_upcoding AS strength,
    is_rare(if(upcoding_by = 'severity', severity_share, admission_alike / admissions)) AS telling,
    if(
        upcoding_by = 'severity',
        format(
            'keparahan {}{} dengan {} diagnosis sekunder: dari rawat inap {} seperti itu {}{} yang wajar setinggi ini',
            severity_group,
            if(usual_exit, format(' {} LOS {} hari', if(is_rare(severity_share), 'padahal', 'pada'), los), ''),
            comorbidity_count,
            inacbg_base(inacbg_code),
            only_id(severity_share),
            percent_id(severity_share)
        ),
        format(
            'masuk dengan diagnosis {}, ditagih {}: {}{} dari {} rawat inap dengan diagnosis masuk itu; median {} ini '
            '{} median INA-CBG yang lazim untuk diagnosis itu',
            admission_diagnosis,
            inacbg_base(inacbg_code),
            only_id(admission_alike / admissions),
            count_id(admission_alike),
            count_id(admissions),
            inacbg_base(inacbg_code),
            times_id(admission_price_ratio, 1)
        )
    ) || habit_id('severity', habit_pattern, habit_observed, habit_expected) AS text_id,
    if(
        upcoding_by = 'severity',
        format(
            '{}{} with {} secondary {}: of such stays of {} {}{} would be expected to be as severe',
            severity_en(severity_group),
            if(usual_exit, ' after ' || days_en(los), ''),
            comorbidity_count,
            plural_en(comorbidity_count, 'diagnosis', 'diagnoses'),
            inacbg_base(inacbg_code),
            only_en(severity_share),
            percent_en(severity_share)
        ),
        format(
            'admitted with {}, billed as {}: {}{} of {} stays with that admission diagnosis {}; the median of {} is {} '
            'that of the INA-CBG that is usual for it',
            admission_diagnosis,
            inacbg_base(inacbg_code),
            only_en(admission_alike / admissions),
            count_en(admission_alike),
            count_en(admissions),
            plural_en(admission_alike, 'is', 'are'),
            inacbg_base(inacbg_code),
            times_en(admission_price_ratio, 1)
        )
    ) || habit_en('severity', habit_pattern, habit_observed, habit_expected) AS text_en,
    with_habit(
        if(
            upcoding_by = 'severity',
            json_object(
                'inacbg_base', inacbg_base(inacbg_code), 'severity_level', severity_level, 'los', los,
                'usual_exit', usual_exit, 'comorbidity_count', comorbidity_count,
                'severity_share', severity_share
            ),
            json_object(
                'inacbg_base', inacbg_base(inacbg_code), 'admission_diagnosis', admission_diagnosis,
                'admission_alike', admission_alike, 'admissions', admissions,
                'admission_price_ratio', admission_price_ratio
            )
        ),
        'severity', habit_pattern, habit_observed, habit_expected
    ) AS figures
FROM suspects
WHERE surprise_upcoding >= $reason_from
