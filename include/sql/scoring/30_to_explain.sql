-- The riskiest claims among those the forest finds anomalous, with all that an explanation needs.
SELECT
    claims.claim_id,
    claims.los,
    claims.amount_claimed,
    claims.amount_paid,
    claims.amount_gap,
    claims.comorbidity_count,
    claims.peer_mean,
    claims.peer_p90,
    claims.peer_n,
    claims.cost_zscore,
    claims.severity_group,
    claims.facility_class,
    claims.province_name,
    claims.service_type,
    scored.ml_score_normalized
FROM scored
INNER JOIN claims ON scored.claim_id = claims.claim_id
WHERE scored.ml_score > 0
ORDER BY scored.risk_score DESC, scored.ml_score DESC, claims.amount_claimed DESC, scored.claim_id ASC
LIMIT $explained
