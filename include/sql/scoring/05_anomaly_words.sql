-- What each feature of the anomaly channel (ml.model.anomaly) says of a claim.
CREATE OR REPLACE TEMP MACRO anomaly_words_id(
    feature, price_ln, tariff_ln, day_price_ln, day_price_n, inacbg, los, los_low, severity, service_type, diagnosis,
    admission_alike, admissions, topup, comorbidities, comorbidity, procedures, procedure, readmitted, readmission
) AS
CASE feature
    WHEN 'price'
        THEN 'tagihan tanpa top-up ' || times_id(exp(price_ln), 1) || ' median klaim sejenis'
    WHEN 'tariff' THEN 'tagihan ' || times_id(exp(tariff_ln), 1) || ' tarif INA-CBG-nya sendiri'
    WHEN 'day_price'
        THEN
            format(
                'tagihan tanpa top-up per hari rawat {} median {} klaim {}',
                times_id(exp(day_price_ln), 1),
                count_id(day_price_n),
                inacbg
            )
    WHEN 'short_stay' THEN format('LOS {} hari, {} rawat inap sejenis', los, percentile_id(los_low))
    WHEN 'long_stay' THEN format('LOS {} hari, {} rawat inap sejenis', los, percentile_id(los_low))
    WHEN 'severity'
        THEN 'peluang keparahan ini pada LOS dan jumlah diagnosis sekundernya ' || about_id(severity)
    WHEN 'admission'
        THEN
            format(
                '{}{} dari {} {} {} ditagih {}',
                only_id(admission_alike / admissions),
                count_id(admission_alike),
                count_id(admissions),
                if(
                    service_type = 'RITL',
                    'rawat inap dengan diagnosis masuk',
                    'kunjungan rawat jalan dengan diagnosis utama'
                ),
                diagnosis,
                inacbg_base(inacbg)
            )
    WHEN 'topup' THEN 'top-up seperti itu (kode dan nilai) ada pada ' || about_id(topup) || ' klaim sejenis'
    WHEN 'comorbidity'
        THEN
            format(
                '{} diagnosis sekunder, {} klaim sejenis', comorbidities, percentile_id(1 - comorbidity)
            )
    WHEN
        'procedures'
        THEN format('{} tindakan, {} klaim sejenis', procedures, percentile_id(1 - procedure))
    WHEN 'readmission'
        THEN
            format(
                'masuk lagi {} pulang; {} rawat inap sejenis masuk lagi dalam 30 hari',
                if(readmitted = 0, 'pada hari', format('{} hari setelah', readmitted)),
                about_id(readmission)
            )
END;

CREATE OR REPLACE TEMP MACRO anomaly_words_en(
    feature, price_ln, tariff_ln, day_price_ln, day_price_n, inacbg, los, los_low, severity, service_type, diagnosis,
    admission_alike, admissions, topup, comorbidities, comorbidity, procedures, procedure, readmitted, readmission
) AS
CASE feature
    WHEN 'price'
        THEN 'billed ' || times_en(exp(price_ln), 1) || ' the median of similar claims without top-ups'
    WHEN 'tariff' THEN 'billed ' || times_en(exp(tariff_ln), 1) || ' its own INA-CBG tariff'
    WHEN 'day_price'
        THEN format(
            'billed {} the median of {} claims with {} per day of stay without top-ups',
            times_en(exp(day_price_ln), 1),
            count_en(day_price_n),
            inacbg
        )
    WHEN 'short_stay' THEN format('LOS {}, {} of similar stays', days_en(los), percentile_en(los_low))
    WHEN 'long_stay' THEN format('LOS {}, {} of similar stays', days_en(los), percentile_en(los_low))
    WHEN 'severity'
        THEN about_en(severity) || ' of such stays (LOS, secondary diagnoses) would be expected to be as severe'
    WHEN 'admission'
        THEN
            format(
                '{}{} of {} {} diagnosis {} {} billed as {}',
                only_en(admission_alike / admissions),
                count_en(admission_alike),
                count_en(admissions),
                if(service_type = 'RITL', 'stays with admission', 'outpatient visits with primary'),
                diagnosis,
                plural_en(admission_alike, 'is', 'are'),
                inacbg_base(inacbg)
            )
    WHEN 'topup' THEN 'a top-up (code and amount) as ' || about_en(topup) || ' of similar claims have'
    WHEN 'comorbidity'
        THEN
            format(
                '{} secondary {}, {} of similar claims',
                comorbidities,
                plural_en(comorbidities, 'diagnosis', 'diagnoses'),
                percentile_en(1 - comorbidity)
            )
    WHEN 'procedures'
        THEN format(
            '{} {}, {} of similar claims',
            procedures,
            plural_en(procedures, 'procedure', 'procedures'),
            percentile_en(1 - procedure)
        )
    WHEN 'readmission'
        THEN
            format(
                'readmitted {} a discharge; {} of similar stays are readmitted within 30 days',
                if(readmitted = 0, 'on the day of', days_en(readmitted) || ' after'),
                about_en(readmission)
            )
END;

-- The number in those words: a ratio (price, tariff, day_price), a percentile rank 0..1 (stays and counts) or a share
-- (admission: with half of the claim itself left out).
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
