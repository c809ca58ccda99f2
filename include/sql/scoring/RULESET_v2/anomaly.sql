-- Reasons of the channel anomaly: the one or two figures without which the forest would find the claim less odd, unless
-- a typology that stands out tells them. Only where it stands out: a context tells less than a typology.
-- Grain: one row per claim. Input: suspects.
WITH typologies AS (
    SELECT
        *,
        surprise_upcoding >= $flag_from
        AND (
            list_contains(flags, 'upcoding')
            OR is_rare(if(upcoding_by = 'severity', severity_share, admission_alike / admissions))
        ) AS tells_upcoding,
        list_concat(
            if(
                surprise_inflated_bill >= $flag_from AND price_level <= 2
                AND amount_claimed > 1.01 * (price_median + topup_amount),
                ['price'],
                []
            ),
            if(surprise_inflated_bill >= $flag_from AND tariff_ln_ratio > 0.01, ['tariff'], []),
            if(surprise_inflated_bill >= $flag_from, ['long_stay'], []), -- which would excuse the bill
            if(
                surprise_short_stay >= $flag_from AND (list_contains(flags, 'short_stay') OR is_rare(los_share_low)),
                ['short_stay'],
                []
            ),
            if(tells_upcoding, [if(upcoding_by = 'severity', 'severity', 'admission')], []),
            if(tells_upcoding AND upcoding_by = 'severity' AND usual_exit, ['short_stay', 'long_stay'], []),
            if(surprise_topup >= $flag_from, ['topup'], [])
        ) AS told
    FROM suspects
    WHERE surprise_anomaly >= $flag_from
),

new AS (
    SELECT
        *,
        if(list_contains(told, odd_first), NULL, odd_first) AS first_new,
        if(list_contains(told, odd_second), NULL, odd_second) AS second_new,
        (first_new IS NULL) <> (second_new IS NULL) AS is_single,
        if(service_type = 'RITL', admission_diagnosis, primary_diagnosis) AS from_diagnosis -- as in 45_admission_peers
    FROM typologies
),

worded AS (
    SELECT
        *,
        concat_ws(
            '; ',
            anomaly_words_id(
                first_new, price_ln_ratio, tariff_ln_ratio, day_price_ln_ratio, day_price_n, inacbg_code, los,
                los_share_low, severity_share, service_type, from_diagnosis, admission_alike, admissions, topup_share,
                comorbidity_count, comorbidity_share, procedure_count, procedure_share, readmission_after_days,
                readmission_share
            ),
            anomaly_words_id(
                second_new, price_ln_ratio, tariff_ln_ratio, day_price_ln_ratio, day_price_n, inacbg_code, los,
                los_share_low, severity_share, service_type, from_diagnosis, admission_alike, admissions, topup_share,
                comorbidity_count, comorbidity_share, procedure_count, procedure_share, readmission_after_days,
                readmission_share
            )
        ) AS words_id,
        concat_ws(
            '; ',
            anomaly_words_en(
                first_new, price_ln_ratio, tariff_ln_ratio, day_price_ln_ratio, day_price_n, inacbg_code, los,
                los_share_low, severity_share, service_type, from_diagnosis, admission_alike, admissions, topup_share,
                comorbidity_count, comorbidity_share, procedure_count, procedure_share, readmission_after_days,
                readmission_share
            ),
            anomaly_words_en(
                second_new, price_ln_ratio, tariff_ln_ratio, day_price_ln_ratio, day_price_n, inacbg_code, los,
                los_share_low, severity_share, service_type, from_diagnosis, admission_alike, admissions, topup_share,
                comorbidity_count, comorbidity_share, procedure_count, procedure_share, readmission_after_days,
                readmission_share
            )
        ) AS words_en
    FROM new
)

SELECT
    claim_id,
    'anomaly' AS code,
    surprise_anomaly AS strength,
    words_id <> '' AS telling,
    if(is_single, 'besaran yang tidak lazim: ', 'gabungan besaran yang tidak lazim: ')
    || coalesce(nullif(words_id, ''), 'beberapa besaran bersama') AS text_id,
    if(is_single, 'an unusual figure: ', 'an unusual combination of figures: ')
    || coalesce(nullif(words_en, ''), 'several figures together') AS text_en,
    json_object(
        'first', first_new,
        'first_drop', if(first_new IS NULL, NULL, odd_first_drop),
        'first_figure', anomaly_figure(
            first_new, price_ln_ratio, tariff_ln_ratio, day_price_ln_ratio, los_share_low, severity_share,
            admission_share, topup_share, comorbidity_share, procedure_share, readmission_share
        ),
        'second', second_new,
        'second_drop', if(second_new IS NULL, NULL, odd_second_drop),
        'second_figure', anomaly_figure(
            second_new, price_ln_ratio, tariff_ln_ratio, day_price_ln_ratio, los_share_low, severity_share,
            admission_share, topup_share, comorbidity_share, procedure_share, readmission_share
        ),
        'inacbg_code', inacbg_code,
        'day_price_n', day_price_n,
        if(service_type = 'RITL', 'admission_diagnosis', 'primary_diagnosis'), from_diagnosis,
        'admission_alike', admission_alike,
        'admissions', admissions,
        'los', los,
        'comorbidity_count', comorbidity_count,
        'procedure_count', procedure_count,
        'readmission_after_days', readmission_after_days
    ) AS figures
FROM worded
