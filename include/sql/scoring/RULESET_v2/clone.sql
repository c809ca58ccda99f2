-- Reasons of the channel clone: claims billed alike (clone_count), or a stay whose coding is copied (copy_count).
-- Grain: one row per claim. Input: suspects.
WITH told AS (
    SELECT
        *,
        coalesce(copy_of, clone_of) AS others,
        array_to_string(others[1:3], ', ') AS named,
        coalesce(copy_count, clone_count) AS other_patients,
        copy_count IS NOT NULL AS is_copy,
        if(procedure_count = 0, ', tanpa tindakan', ', tindakan') AS procedures_id,
        if(procedure_count = 0, ', no procedures', ', procedures') AS procedures_en,
        if(other_patients > 3, 'antara lain klaim', 'klaim') AS claims_id,
        if(other_patients > 3, 'among them claims', plural_en(len(others), 'claim', 'claims')) AS claims_en
    FROM suspects
    WHERE surprise_clone >= $reason_from
)

SELECT
    claim_id,
    'clone' AS code,
    surprise_clone AS strength,
    is_copy OR clone_count >= 5 * clone_expected AS telling,
    if(
        is_copy,
        format(
            '{} pasien rawat inap lain di faskes ini dikode persis sama ({}, diagnosis masuk, utama dan sekunder{}; '
            '{} {}); di faskes lain {} dari {} pasien dengan INA-CBG dan diagnosis utama itu; wajarnya {}',
            copy_count,
            inacbg_code,
            procedures_id,
            claims_id,
            named,
            count_id(copy_elsewhere),
            count_id(copy_n),
            translate(few_en(copy_expected), ',.', '.,')
        ),
        format(
            '{} pasien lain di faskes ini ditagih {} dalam 30 hari ({} {}); wajarnya {}',
            clone_count,
            if(
                clone_by_amount,
                format(
                    'dengan jumlah yang persis sama ({}, {}, bukan tarifnya)', inacbg_code, rupiah_id(amount_claimed)
                ),
                format('persis sama ({}, diagnosis{}, {})', inacbg_code, procedures_id, rupiah_id(amount_claimed))
            ),
            claims_id,
            named,
            translate(few_en(clone_expected), ',.', '.,')
        )
    ) || habit_id('clone', habit_pattern, habit_observed, habit_expected) AS text_id,
    if(
        is_copy,
        format(
            '{} other inpatient{} at this facility {} coded exactly the same ({}, admission, primary and secondary '
            'diagnoses{}; {} {}); elsewhere {} of {} patients with that INA-CBG and primary diagnosis; {} would be '
            'expected',
            copy_count,
            plural_en(copy_count, '', 's'),
            plural_en(copy_count, 'is', 'are'),
            inacbg_code,
            procedures_en,
            claims_en,
            named,
            count_en(copy_elsewhere),
            count_en(copy_n),
            few_en(copy_expected)
        ),
        format(
            '{} other {} at this facility {} billed exactly the same {} within 30 days ({} {}); {} would be expected',
            clone_count,
            plural_en(clone_count, 'patient', 'patients'),
            plural_en(clone_count, 'was', 'were'),
            if(
                clone_by_amount,
                format('amount ({}, {}, off its tariff)', inacbg_code, rupiah_en(amount_claimed)),
                format('({}, diagnoses{}, {})', inacbg_code, procedures_en, rupiah_en(amount_claimed))
            ),
            claims_en,
            named,
            few_en(clone_expected)
        )
    ) || habit_en('clone', habit_pattern, habit_observed, habit_expected) AS text_en,
    with_habit(
        if(
            is_copy,
            json_object(
                'inacbg_code', inacbg_code, 'primary_diagnosis', primary_diagnosis, 'copy_count', copy_count,
                'copy_of', copy_of, 'copy_elsewhere', copy_elsewhere, 'copy_n', copy_n,
                'copy_expected', copy_expected
            ),
            json_object(
                'inacbg_code', inacbg_code, 'by_amount', clone_by_amount, 'clone_count', clone_count,
                'clone_of', clone_of, 'clone_expected', clone_expected, 'amount_claimed', amount_claimed
            )
        ),
        'clone', habit_pattern, habit_observed, habit_expected
    ) AS figures
FROM told
