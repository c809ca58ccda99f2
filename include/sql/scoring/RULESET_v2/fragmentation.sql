-- Reasons of the channel fragmentation. Grain: one row per claim. Input: suspects.
SELECT
    claim_id,
    'fragmentation' AS code,
    surprise_fragmentation AS strength,
    is_rare(fragment_share) AS telling,
    format(
        'rawat inap lain pasien yang sama di faskes ini dengan {} berselisih {} hari; biasanya {}{} begini',
        inacbg_base(inacbg_code),
        fragment_gap_days,
        only_id(fragment_share),
        percent_id(fragment_share)
    ) AS text_id,
    format(
        'another stay of the same patient at this facility with {} lies {} days apart; usually {}{} do',
        inacbg_base(inacbg_code),
        fragment_gap_days,
        only_en(fragment_share),
        percent_en(fragment_share)
    ) AS text_en,
    json_object('fragment_gap_days', fragment_gap_days, 'fragment_share', fragment_share) AS figures
FROM suspects
WHERE surprise_fragmentation >= $reason_from
