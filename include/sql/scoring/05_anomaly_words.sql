-- What each feature of the anomaly channel (ml.model.anomaly) says of a claim.
CREATE OR REPLACE TEMP MACRO anomaly_words_id(
    feature, price_ln, tariff_ln, day_price_ln, los, los_low, severity, admission, topup, comorbidities,
    comorbidity, procedures, procedure, readmitted, readmission
) AS
CASE feature
    WHEN 'price'
        THEN 'tagihan tanpa top-up ' || times_id(exp(price_ln), 1) || ' median klaim sejenis'
    WHEN 'tariff' THEN 'tagihan ' || times_id(exp(tariff_ln), 1) || ' tarif INA-CBG-nya sendiri'
    WHEN 'day_price'
        THEN 'tagihan tanpa top-up per hari rawat ' || times_id(exp(day_price_ln), 1) || ' median klaim sejenis'
    WHEN 'short_stay' THEN format('LOS {} hari, persentil ke-{} rawat inap sejenis', los, percentile_id(los_low))
    WHEN 'long_stay' THEN format('LOS {} hari, persentil ke-{} rawat inap sejenis', los, percentile_id(los_low))
    WHEN 'severity' THEN 'sekitar ' || percent_id(severity) || ' rawat inap seperti itu wajar separah ini'
    WHEN 'admission' THEN 'sekitar ' || percent_id(admission) || ' klaim dengan diagnosis itu ber-INA-CBG ini'
    WHEN 'topup' THEN 'top-up seperti itu (kode dan nilai) ada pada sekitar ' || percent_id(topup) || ' klaim sejenis'
    WHEN 'comorbidity'
        THEN
            format(
                '{} diagnosis sekunder, persentil ke-{} klaim sejenis', comorbidities, percentile_id(1 - comorbidity)
            )
    WHEN
        'procedures'
        THEN format('{} tindakan, persentil ke-{} klaim sejenis', procedures, percentile_id(1 - procedure))
    WHEN 'readmission'
        THEN
            format(
                'masuk lagi {} hari setelah pulang, lazim pada sekitar {} rawat inap sejenis',
                readmitted,
                percent_id(readmission)
            )
END;

CREATE OR REPLACE TEMP MACRO anomaly_words_en(
    feature, price_ln, tariff_ln, day_price_ln, los, los_low, severity, admission, topup, comorbidities,
    comorbidity, procedures, procedure, readmitted, readmission
) AS
CASE feature
    WHEN 'price'
        THEN 'billed ' || times_en(exp(price_ln), 1) || ' the median of similar claims without top-ups'
    WHEN 'tariff' THEN 'billed ' || times_en(exp(tariff_ln), 1) || ' its own INA-CBG tariff'
    WHEN 'day_price'
        THEN format(
            'billed {} the median of similar claims per day of stay without top-ups', times_en(exp(day_price_ln), 1)
        )
    WHEN 'short_stay' THEN format('LOS {}, percentile {} of similar stays', days_en(los), percentile_en(los_low))
    WHEN 'long_stay' THEN format('LOS {}, percentile {} of similar stays', days_en(los), percentile_en(los_low))
    WHEN 'severity' THEN 'so severe would be expected of about ' || percent_en(severity) || ' of such stays'
    WHEN
        'admission'
        THEN 'about ' || percent_en(admission) || ' of claims with that diagnosis have this INA-CBG'
    WHEN 'topup' THEN 'a top-up (code and amount) as about ' || percent_en(topup) || ' of similar claims have'
    WHEN 'comorbidity'
        THEN
            format(
                '{} secondary {}, percentile {} of similar claims',
                comorbidities,
                plural_en(comorbidities, 'diagnosis', 'diagnoses'),
                percentile_en(1 - comorbidity)
            )
    WHEN 'procedures'
        THEN format(
            '{} {}, percentile {} of similar claims',
            procedures,
            plural_en(procedures, 'procedure', 'procedures'),
            percentile_en(1 - procedure)
        )
    WHEN 'readmission'
        THEN
            format(
                'readmitted {} after a discharge, usual for about {} of similar stays',
                days_en(readmitted),
                percent_en(readmission)
            )
END;

-- The number in those words: a ratio (price, tariff, day_price), a percentile rank 0..1 (stays and counts) or a share.
CREATE OR REPLACE TEMP MACRO anomaly_figure(
    feature, price_ln, tariff_ln, day_price_ln, los_low, severity, admission, topup, comorbidity, procedure, readmission
) AS
CASE feature
    WHEN 'price' THEN exp(price_ln)
    WHEN 'tariff' THEN exp(tariff_ln)
    WHEN 'day_price' THEN exp(day_price_ln)
    WHEN 'short_stay' THEN los_low
    WHEN 'long_stay' THEN los_low
    WHEN 'severity' THEN severity
    WHEN 'admission' THEN admission
    WHEN 'topup' THEN topup
    WHEN 'comorbidity' THEN 1 - comorbidity
    WHEN 'procedures' THEN 1 - procedure
    WHEN 'readmission' THEN readmission
END;
