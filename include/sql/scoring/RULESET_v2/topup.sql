-- Reasons of the channel topup. Grain: one row per claim. Input: suspects.
SELECT
    claim_id,
    'topup' AS code,
    surprise_topup AS strength,
    is_rare(topup_alike / topup_n) AS telling,
    format(
        'top-up {} sebesar {}: {}{} dari {} klaim {} memiliki {}',
        topup_codes,
        rupiah_id(topup_amount),
        only_id(topup_alike / topup_n),
        count_id(topup_alike),
        count_id(topup_n),
        coalesce('faskes lain dengan diagnosis ' || topup_diagnosis, inacbg_base(inacbg_code)),
        topup_code
    ) || habit_id('topup', habit_pattern, habit_observed, habit_expected) AS text_id,
    format(
        'top-up {} of {}: {}{} of {} claims {} {} {}',
        topup_codes,
        rupiah_en(topup_amount),
        only_en(topup_alike / topup_n),
        count_en(topup_alike),
        count_en(topup_n),
        coalesce('of other facilities with diagnosis ' || topup_diagnosis, 'of ' || inacbg_base(inacbg_code)),
        plural_en(topup_alike, 'has', 'have'),
        topup_code
    ) || habit_en('topup', habit_pattern, habit_observed, habit_expected) AS text_en,
    with_habit(
        json_object(
            'topup_codes', topup_codes, 'topup_amount', topup_amount, 'topup_code', topup_code,
            'topup_diagnosis', topup_diagnosis, 'topup_alike', topup_alike, 'topup_n', topup_n
        ),
        'topup', habit_pattern, habit_observed, habit_expected
    ) AS figures
FROM suspects
WHERE surprise_topup >= $reason_from
