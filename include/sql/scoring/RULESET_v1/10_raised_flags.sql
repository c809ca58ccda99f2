-- The flags of RULESET_v1 that hold, with their reasons. Grain: one row per claim and flag.
-- Input: claims, ruleset_thresholds. Sources of the rules: include/ml/rules/RULESET_v1.json.
CREATE OR REPLACE TEMP TABLE raised_flags AS
WITH described AS (
    SELECT
        claims.*,
        limits.*,
        peers_words(
            claims.peer_level,
            claims.primary_diagnosis,
            claims.primary_diagnosis_group,
            claims.inacbg_code,
            replace(claims.severity_group, '_', ' '),
            claims.facility_class,
            claims.province_name
        ) AS peers
    FROM claims
    CROSS JOIN ruleset_thresholds AS limits
)

SELECT
    claim_id,
    'short_stay_high_cost' AS code,
    format(
        'LOS {} hari, tagihan {} = {} p90 ({}) dari {} klaim sejenis ({})',
        los,
        rupiah_id(amount_claimed),
        times_id(amount_claimed, peer_p90),
        rupiah_id(peer_p90),
        peer_n,
        peers
    ) AS text_id,
    format(
        'LOS {}, claimed {} = {} the p90 ({}) of {} similar claims ({})',
        days_en(los),
        rupiah_en(amount_claimed),
        times_en(amount_claimed, peer_p90),
        rupiah_en(peer_p90),
        peer_n,
        peers
    ) AS text_en,
    json_object('los', los, 'amount_claimed', amount_claimed, 'peer_p90', peer_p90, 'peer_n', peer_n) AS figures
FROM described
WHERE los <= short_stay_max_los AND amount_claimed > peer_p90

UNION ALL

SELECT
    claim_id,
    'severity_mismatch' AS code,
    format(
        'keparahan ringan, tagihan {} = {} p90 ({}) dari {} klaim sejenis ({})',
        rupiah_id(amount_claimed),
        times_id(amount_claimed, peer_p90),
        rupiah_id(peer_p90),
        peer_n,
        peers
    ) AS text_id,
    format(
        'severity ringan (light), claimed {} = {} the p90 ({}) of {} similar claims ({})',
        rupiah_en(amount_claimed),
        times_en(amount_claimed, peer_p90),
        rupiah_en(peer_p90),
        peer_n,
        peers
    ) AS text_en,
    json_object('amount_claimed', amount_claimed, 'peer_p90', peer_p90, 'peer_n', peer_n) AS figures
FROM described
WHERE severity_group = 'ringan' AND amount_claimed > peer_p90

UNION ALL

SELECT
    claim_id,
    'duplicate_pattern' AS code,
    format(
        'pasien, diagnosis {} dan tindakan yang sama ditagih lagi dalam {} hari',
        primary_diagnosis,
        duplicate_gap_days
    ) AS text_id,
    format(
        'same patient, diagnosis {} and procedures billed again within {}',
        primary_diagnosis,
        days_en(duplicate_gap_days)
    ) AS text_en,
    json_object('duplicate_gap_days', duplicate_gap_days) AS figures
FROM described
WHERE duplicate_gap_days <= duplicate_max_days

UNION ALL

SELECT
    claim_id,
    'high_cost_full_paid' AS code,
    format(
        'tagihan {} dibayar {}%, z-score {} terhadap {} klaim sejenis ({})',
        rupiah_id(amount_claimed),
        round(100 * paid_ratio)::INTEGER,
        replace(printf('%.1f', cost_zscore), '.', ','),
        peer_n,
        peers
    ) AS text_id,
    format(
        'claimed {} and paid {}%, z-score {} against {} similar claims ({})',
        rupiah_en(amount_claimed),
        round(100 * paid_ratio)::INTEGER,
        printf('%.1f', cost_zscore),
        peer_n,
        peers
    ) AS text_en,
    json_object(
        'amount_claimed', amount_claimed, 'paid_ratio', paid_ratio, 'cost_zscore', cost_zscore, 'peer_n', peer_n
    ) AS figures
FROM described
WHERE paid_ratio >= full_paid_min_ratio AND cost_zscore > high_cost_min_zscore
