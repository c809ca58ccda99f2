-- The claims a model is trained on: a sample that depends on the claims alone, not on their order or the machine.
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
FROM read_parquet($claims)
ORDER BY md5(claim_id), claim_id
LIMIT $sample_rows
