-- Reasons of the channel anomaly: the one or two figures without which the forest would find the claim less odd.
-- Only where it stands out: a context tells less than a typology. Grain: one row per claim. Input: suspects.
SELECT
    claim_id,
    'anomaly' AS code,
    surprise_anomaly AS strength,
    TRUE AS telling,
    'gabungan besaran yang tidak lazim: ' || concat_ws(
        '; ',
        coalesce(
            anomaly_words_id(
                odd_first, price_ln_ratio, price_level, tariff_ln_ratio, day_price_ln_ratio, los, los_share_low,
                severity_share, admission_share, topup_share, comorbidity_count, comorbidity_share, procedure_count,
                procedure_share, readmission_after_days, readmission_share
            ),
            'beberapa besaran bersama'
        ),
        anomaly_words_id(
            odd_second, price_ln_ratio, price_level, tariff_ln_ratio, day_price_ln_ratio, los, los_share_low,
            severity_share, admission_share, topup_share, comorbidity_count, comorbidity_share, procedure_count,
            procedure_share, readmission_after_days, readmission_share
        )
    ) AS text_id,
    'an unusual combination of figures: ' || concat_ws(
        '; ',
        coalesce(
            anomaly_words_en(
                odd_first, price_ln_ratio, price_level, tariff_ln_ratio, day_price_ln_ratio, los, los_share_low,
                severity_share, admission_share, topup_share, comorbidity_count, comorbidity_share, procedure_count,
                procedure_share, readmission_after_days, readmission_share
            ),
            'several figures together'
        ),
        anomaly_words_en(
            odd_second, price_ln_ratio, price_level, tariff_ln_ratio, day_price_ln_ratio, los, los_share_low,
            severity_share, admission_share, topup_share, comorbidity_count, comorbidity_share, procedure_count,
            procedure_share, readmission_after_days, readmission_share
        )
    ) AS text_en,
    json_object(
        'first', odd_first, 'first_drop', odd_first_drop, 'second', odd_second, 'second_drop', odd_second_drop
    ) AS figures
FROM suspects
WHERE surprise_anomaly >= $flag_from
