-- Reasons of the channel topup. Grain: one row per claim. Input: suspects.
SELECT
    claim_id,
    'topup' AS code,
    surprise_topup AS strength,
    is_rare(topup_share) AS telling,
    format(
        'top-up {} sebesar {}: {}{} klaim {} memilikinya',
        topup_codes,
        rupiah_id(topup_amount),
        only_id(topup_share),
        percent_id(topup_share),
        inacbg_base(inacbg_code)
    ) AS text_id,
    format(
        'top-up {} of {}: {}{} of {} claims have it',
        topup_codes,
        rupiah_en(topup_amount),
        only_en(topup_share),
        percent_en(topup_share),
        inacbg_base(inacbg_code)
    ) AS text_en,
    json_object('topup_codes', topup_codes, 'topup_amount', topup_amount, 'topup_share', topup_share) AS figures
FROM suspects
WHERE surprise_topup >= $reason_from
