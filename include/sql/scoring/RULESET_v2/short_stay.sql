-- Reasons of the channel short_stay. Grain: one row per claim. Input: suspects.
WITH described AS (
    SELECT
        *,
        -- What makes the peers of a stay alike (claims_normalized/43_stay_peers.sql).
        if(
            stay_level = 3,
            concat_ws(', ', regexp_extract(inacbg_code, '^[^-]+-[^-]+'), replace(severity_group, '_', ' ')),
            inacbg_code
        ) AS peers
    FROM suspects
    WHERE surprise_short_stay >= $reason_from
)

SELECT
    claim_id,
    'short_stay' AS code,
    surprise_short_stay AS strength,
    format(
        'LOS {} hari, ditagih penuh {}: hanya {} dari {} rawat inap sejenis ({}) sesingkat ini',
        los,
        rupiah_id(amount_claimed),
        percent_id(los_share_low),
        count_id(stay_n),
        peers
    ) AS text_id,
    format(
        'LOS {} days, billed in full {}: only {} of {} similar stays ({}) are as short',
        los,
        rupiah_en(amount_claimed),
        percent_en(los_share_low),
        count_en(stay_n),
        peers
    ) AS text_en,
    json_object(
        'los', los, 'los_share_low', los_share_low, 'stay_n', stay_n, 'stay_level', stay_level,
        'amount_claimed', amount_claimed
    ) AS figures
FROM described
