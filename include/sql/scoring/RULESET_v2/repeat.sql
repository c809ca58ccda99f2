-- Reasons of the channel repeat. Grain: one row per claim. Input: suspects.
WITH described AS (
    SELECT
        *,
        if(
            repeat_after_days = 0,
            'dengan tanggal masuk yang sama',
            format('dengan tanggal masuk {} hari sebelumnya', repeat_after_days)
        ) AS when_id,
        if(
            repeat_after_days = 0,
            'for an admission on the same day',
            format('for an admission {} before', days_en(repeat_after_days))
        ) AS when_en
    FROM suspects
    WHERE surprise_repeat >= $reason_from
)

SELECT
    claim_id,
    'repeat' AS code,
    surprise_repeat AS strength,
    is_rare(repeat_alike / repeat_n) AS telling,
    format(
        if(
            repeat_identical,
            'tagihan yang sama persis (pasien, faskes, INA-CBG, diagnosis {} dan diagnosis sekunder, tindakan, nilai) '
            || 'sudah diajukan {}; {}{} dari {} klaim dengan diagnosis dan tindakan itu begini',
            'pasien, diagnosis {} dan tindakan yang sama sudah ditagih {}; {}{} dari {} klaim seperti itu begini'
        ),
        primary_diagnosis,
        when_id,
        only_id(repeat_alike / repeat_n),
        count_id(repeat_alike),
        count_id(repeat_n)
    ) AS text_id,
    format(
        if(
            repeat_identical,
            'the very same bill (patient, facility, INA-CBG, diagnosis {} and secondary diagnoses, procedures, amount) '
            || 'came {}; {}{} of {} claims with that diagnosis and these procedures {} like that',
            'same patient, diagnosis {} and procedures were billed {}; {}{} of {} such claims {} like that'
        ),
        primary_diagnosis,
        when_en,
        only_en(repeat_alike / repeat_n),
        count_en(repeat_alike),
        count_en(repeat_n),
        plural_en(repeat_alike, 'is', 'are')
    ) AS text_en,
    json_object(
        'primary_diagnosis', primary_diagnosis,
        'repeat_after_days', repeat_after_days,
        'repeat_identical', repeat_identical,
        'repeat_alike', repeat_alike,
        'repeat_n', repeat_n
    ) AS figures
FROM described
