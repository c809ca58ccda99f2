-- Reasons of the channel repeat. Grain: one row per claim. Input: suspects.
SELECT
    claim_id,
    'repeat' AS code,
    surprise_repeat AS strength,
    is_rare(repeat_share) AS telling,
    format(
        if(
            repeat_identical,
            'tagihan yang sama persis (pasien, faskes, INA-CBG, diagnosis {} dan diagnosis sekunder, tindakan, nilai) '
            || 'sudah diajukan {} hari sebelumnya; biasanya {}{} klaim begini',
            'pasien, diagnosis {} dan tindakan yang sama sudah ditagih {} hari sebelumnya; '
            || 'biasanya {}{} klaim begini'
        ),
        primary_diagnosis,
        repeat_after_days,
        only_id(repeat_share),
        percent_id(repeat_share)
    ) AS text_id,
    format(
        if(
            repeat_identical,
            'the very same bill (patient, facility, INA-CBG, diagnosis {} and secondary diagnoses, procedures, amount) '
            || 'came {} days before; usually {}{} of such claims have one',
            'same patient, diagnosis {} and procedures were billed {} days before; usually {}{} of such claims are'
        ),
        primary_diagnosis,
        repeat_after_days,
        only_en(repeat_share),
        percent_en(repeat_share)
    ) AS text_en,
    json_object(
        'primary_diagnosis', primary_diagnosis,
        'repeat_after_days', repeat_after_days,
        'repeat_identical', repeat_identical,
        'repeat_share', repeat_share
    ) AS figures
FROM suspects
WHERE surprise_repeat >= $reason_from
