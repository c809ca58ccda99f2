-- Reasons of the channel upcoding, by what says more: the severity against the stay and its secondary diagnoses, or the
-- INA-CBG against the admission diagnosis, of an outpatient against the primary one. Grain: one row per claim.
-- Input: suspects.
WITH described AS (
    SELECT
        *,
        if(upcoding_by = 'severity', 'severity', 'dearer_code') AS its_habit,
        severity_n >= 30 AS countable -- fewer say little
    FROM suspects
    WHERE surprise_upcoding >= $reason_from
)

SELECT
    claim_id,
    'upcoding' AS code,
    surprise_upcoding AS strength,
    is_rare(if(upcoding_by = 'severity', severity_share, admission_alike / admissions)) AS telling,
    CASE upcoding_by
        WHEN 'severity'
            THEN
                format(
                    'keparahan {}{} dengan {} diagnosis sekunder: peluang seberat ini di antara rawat inap {} '
                    'seperti itu {}{}',
                    severity_group,
                    if(
                        usual_exit,
                        format(
                            ' {} LOS {} hari',
                            if(is_rare(severity_share) AND los_share_low <= 0.5, 'padahal', 'pada'),
                            los
                        ),
                        ''
                    ),
                    comorbidity_count,
                    inacbg_base(inacbg_code),
                    only_id(severity_share),
                    percent_id(severity_share)
                )
                || if(
                    countable,
                    format(
                        ' (tercatat {} dari {}{}{} diagnosis sekunder)',
                        count_id(severity_alike),
                        count_id(severity_n),
                        if(usual_exit, format(' dengan LOS ≤{} hari dan', los), ''),
                        CASE
                            WHEN comorbidity_count = 0 THEN ' tanpa'
                            WHEN usual_exit THEN ' ≤' || comorbidity_count
                            ELSE ' dengan ≤' || comorbidity_count
                        END
                    ),
                    ''
                )
        ELSE
            format(
                '{} diagnosis {}, ditagih {}: {}{} dari {} {} itu; median {} ini, disesuaikan kelas dan '
                'regionalnya, {} median INA-CBG yang lazim untuk diagnosis itu',
                if(upcoding_by = 'admission', 'masuk dengan', 'rawat jalan dengan'),
                if(upcoding_by = 'admission', admission_diagnosis, primary_diagnosis),
                inacbg_base(inacbg_code),
                only_id(admission_alike / admissions),
                count_id(admission_alike),
                count_id(admissions),
                if(
                    upcoding_by = 'admission',
                    'rawat inap dengan diagnosis masuk',
                    'kunjungan rawat jalan dengan diagnosis utama'
                ),
                inacbg_base(inacbg_code),
                times_id(admission_price_ratio, 1)
            )
    END || habit_id(its_habit, habit_pattern, habit_observed, habit_expected) AS text_id,
    CASE upcoding_by
        WHEN 'severity'
            THEN
                format(
                    '{}{} with {} secondary {}: of such stays of {} {}{} would be expected to be as severe',
                    severity_en(severity_group),
                    if(usual_exit, ' after ' || days_en(los), ''),
                    comorbidity_count,
                    plural_en(comorbidity_count, 'diagnosis', 'diagnoses'),
                    inacbg_base(inacbg_code),
                    only_en(severity_share),
                    percent_en(severity_share)
                )
                || if(
                    countable,
                    format(
                        ' (recorded: {} of {} with {}{})',
                        count_en(severity_alike),
                        count_en(severity_n),
                        if(usual_exit, format('LOS ≤{} and ', days_en(los)), ''),
                        if(
                            comorbidity_count = 0,
                            'no secondary diagnosis',
                            format(
                                '≤{} secondary {}',
                                comorbidity_count,
                                plural_en(comorbidity_count, 'diagnosis', 'diagnoses')
                            )
                        )
                    ),
                    ''
                )
        ELSE
            format(
                '{} with {}, billed as {}: {}{} of {} {} diagnosis {}; the median of {}, adjusted for class '
                'and region, is {} that of the INA-CBG that is usual for it',
                if(upcoding_by = 'admission', 'admitted', 'outpatient'),
                if(upcoding_by = 'admission', admission_diagnosis, primary_diagnosis),
                inacbg_base(inacbg_code),
                only_en(admission_alike / admissions),
                count_en(admission_alike),
                count_en(admissions),
                if(upcoding_by = 'admission', 'stays with that admission', 'outpatient visits with that primary'),
                plural_en(admission_alike, 'is', 'are'),
                inacbg_base(inacbg_code),
                times_en(admission_price_ratio, 1)
            )
    END || habit_en(its_habit, habit_pattern, habit_observed, habit_expected) AS text_en,
    with_habit(
        if(
            upcoding_by = 'severity',
            json_object(
                'inacbg_base', inacbg_base(inacbg_code), 'severity_level', severity_level, 'los', los,
                'usual_exit', usual_exit, 'comorbidity_count', comorbidity_count,
                'severity_share', severity_share, 'severity_alike', severity_alike, 'severity_n', severity_n
            ),
            json_object(
                'inacbg_base', inacbg_base(inacbg_code),
                if(upcoding_by = 'admission', 'admission_diagnosis', 'primary_diagnosis'),
                if(upcoding_by = 'admission', admission_diagnosis, primary_diagnosis),
                'admission_alike', admission_alike, 'admissions', admissions,
                'admission_price_ratio', admission_price_ratio
            )
        ),
        its_habit, habit_pattern, habit_observed, habit_expected
    ) AS figures
FROM described
