-- The claims that RULESET_v1's forest is trained on, as that ruleset sees them: a sample that depends on the claims
-- alone, not on their order or the machine ($below: as in calibration_sample.sql).
-- Input: claims (scoring/RULESET_v1/05_claims.sql).
SELECT
    los,
    amount_claimed,
    amount_paid,
    amount_gap,
    comorbidity_count,
    peer_mean,
    peer_p90,
    cost_zscore,
    severity_group,
    facility_class,
    province_name,
    service_type
FROM claims
WHERE md5(claim_id) < $below
ORDER BY md5(claim_id), claim_id
LIMIT $sample_rows
