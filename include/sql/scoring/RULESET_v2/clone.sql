-- Reasons of the channel clone. Grain: one row per claim. Input: suspects.
SELECT
    claim_id,
    'clone' AS code,
    surprise_clone AS strength,
    TRUE AS telling,
    format(
        '{} pasien lain di faskes ini ditagih persis sama ({}, diagnosis, tindakan, {}) dalam 30 hari; wajarnya {}',
        clone_count,
        inacbg_code,
        rupiah_id(amount_claimed),
        replace(printf('%.2g', clone_expected), '.', ',')
    ) AS text_id,
    format(
        '{} other {} at this facility {} billed exactly the same ({}, diagnoses, procedures, {}) within 30 days; {} '
        'would be expected',
        clone_count,
        plural_en(clone_count, 'patient', 'patients'),
        plural_en(clone_count, 'was', 'were'),
        inacbg_code,
        rupiah_en(amount_claimed),
        printf('%.2g', clone_expected)
    ) AS text_en,
    json_object('clone_count', clone_count, 'clone_expected', clone_expected, 'amount_claimed', amount_claimed)
        AS figures
FROM suspects
WHERE surprise_clone >= $reason_from
