-- Reasons of the channel topup. Grain: one row per claim. Input: suspects.
SELECT
    claim_id,
    'topup' AS code,
    surprise_topup AS strength,
    format(
        'top-up {} sebesar {}: hanya {} klaim {} memilikinya',
        topup_codes,
        rupiah_id(topup_amount),
        percent_id(topup_share),
        inacbg_base(inacbg_code)
    ) AS text_id,
    format(
        'top-up {} of {}: only {} of {} claims have it',
        topup_codes,
        rupiah_en(topup_amount),
        percent_en(topup_share),
        inacbg_base(inacbg_code)
    ) AS text_en,
    json_object('topup_codes', topup_codes, 'topup_amount', topup_amount, 'topup_share', topup_share) AS figures
FROM suspects
WHERE surprise_topup >= $reason_from
