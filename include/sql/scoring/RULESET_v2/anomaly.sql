-- Reasons of the channel anomaly: the one or two figures without which the forest would find the claim less odd, unless
-- a typology's reason has told them. Only where it stands out: a context tells less than a typology.
-- Grain: one row per claim. Input: suspects.
WITH typologies AS (
    SELECT
        *,
        list_concat(
            if(surprise_inflated_bill >= $reason_from, ['price', 'tariff', 'day_price'], []),
            if(surprise_short_stay >= $reason_from, ['short_stay', 'day_price'], []),
            if(surprise_upcoding >= $reason_from, [upcoding_by], []),
            if(surprise_upcoding >= $reason_from AND upcoding_by = 'severity', ['short_stay', 'long_stay'], []),
            if(surprise_topup >= $reason_from, ['topup'], [])
        ) AS told
    FROM suspects
    WHERE surprise_anomaly >= $flag_from
),

new AS (
    SELECT
        *,
        if(list_contains(told, odd_first), NULL, odd_first) AS first_new,
        if(list_contains(told, odd_second), NULL, odd_second) AS second_new
    FROM typologies
),

worded AS (
    SELECT
        *,
        concat_ws(
            '; ',
            anomaly_words_id(
                first_new, price_ln_ratio, price_level, tariff_ln_ratio, day_price_ln_ratio, los, los_share_low,
                severity_share, admission_share, topup_share, comorbidity_count, comorbidity_share, procedure_count,
                procedure_share, readmission_after_days, readmission_share
            ),
            anomaly_words_id(
                second_new, price_ln_ratio, price_level, tariff_ln_ratio, day_price_ln_ratio, los, los_share_low,
                severity_share, admission_share, topup_share, comorbidity_count, comorbidity_share, procedure_count,
                procedure_share, readmission_after_days, readmission_share
            )
        ) AS words_id,
        concat_ws(
            '; ',
            anomaly_words_en(
                first_new, price_ln_ratio, price_level, tariff_ln_ratio, day_price_ln_ratio, los, los_share_low,
                severity_share, admission_share, topup_share, comorbidity_count, comorbidity_share, procedure_count,
                procedure_share, readmission_after_days, readmission_share
            ),
            anomaly_words_en(
                second_new, price_ln_ratio, price_level, tariff_ln_ratio, day_price_ln_ratio, los, los_share_low,
                severity_share, admission_share, topup_share, comorbidity_count, comorbidity_share, procedure_count,
                procedure_share, readmission_after_days, readmission_share
            )
        ) AS words_en
    FROM new
)

SELECT
    claim_id,
    'anomaly' AS code,
    surprise_anomaly AS strength,
    words_id <> '' OR odd_first IS NULL AS telling,
    'gabungan besaran yang tidak lazim: ' || coalesce(nullif(words_id, ''), 'beberapa besaran bersama') AS text_id,
    'an unusual combination of figures: ' || coalesce(nullif(words_en, ''), 'several figures together') AS text_en,
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
        'los', los,
        'comorbidity_count', comorbidity_count,
        'procedure_count', procedure_count,
        'readmission_after_days', readmission_after_days
    ) AS figures
FROM worded
