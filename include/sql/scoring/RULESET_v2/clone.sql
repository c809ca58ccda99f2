-- Reasons of the channel clone. Grain: one row per claim. Input: suspects.
SELECT
    claim_id,
    'clone' AS code,
    surprise_clone AS strength,
    clone_count >= 5 * clone_expected AS telling,
    format(
        '{} pasien lain di faskes ini ditagih {} dalam 30 hari ({} {}); wajarnya {}',
        clone_count,
        format(
            if(
                clone_by_amount,
                'dengan jumlah yang persis sama ({}, {}, bukan tarifnya)',
                if(
                    procedure_count = 0,
                    'persis sama ({}, diagnosis, tanpa tindakan, {})',
                    'persis sama ({}, diagnosis, tindakan, {})'
                )
            ),
            inacbg_code,
            rupiah_id(amount_claimed)
        ),
        if(len(clone_of) > 3, 'antara lain klaim', 'klaim'),
        array_to_string(clone_of[1:3], ', '),
        translate(few_en(clone_expected), ',.', '.,')
    ) || habit_id('clone', habit_pattern, habit_observed, habit_expected) AS text_id,
    format(
        '{} other {} at this facility {} billed exactly the same {} within 30 days ({} {}); {} would be expected',
        clone_count,
        plural_en(clone_count, 'patient', 'patients'),
        plural_en(clone_count, 'was', 'were'),
        format(
            if(
                clone_by_amount,
                'amount ({}, {}, off its tariff)',
                if(procedure_count = 0, '({}, diagnoses, no procedures, {})', '({}, diagnoses, procedures, {})')
            ),
            inacbg_code,
            rupiah_en(amount_claimed)
        ),
        if(len(clone_of) > 3, 'among them claims', plural_en(len(clone_of), 'claim', 'claims')),
        array_to_string(clone_of[1:3], ', '),
        few_en(clone_expected)
    ) || habit_en('clone', habit_pattern, habit_observed, habit_expected) AS text_en,
    with_habit(
        json_object(
            'inacbg_code', inacbg_code, 'by_amount', clone_by_amount, 'clone_count', clone_count, 'clone_of', clone_of,
            'clone_expected', clone_expected, 'amount_claimed', amount_claimed
        ),
        'clone', habit_pattern, habit_observed, habit_expected
    ) AS figures
FROM suspects
WHERE surprise_clone >= $reason_from
