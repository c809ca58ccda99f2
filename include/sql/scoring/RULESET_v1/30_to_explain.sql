-- The claims whose forest score wants an explanation, with all that it needs: every claim that the forest alone puts
-- above a bound, and among the riskiest those in which the forest's part decides. Grain: one row per claim.
WITH riskiest AS (
    SELECT risk_score
    FROM scored
    ORDER BY risk_score DESC
    LIMIT $riskiest
),

bounds AS (
    SELECT
        min(risk_score) AS riskiest_from,
        $forest_above AS always_above
    FROM riskiest
)

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
    scored.ml_score,
    scored.ml_score_normalized
FROM scored
CROSS JOIN bounds
INNER JOIN claims ON scored.claim_id = claims.claim_id
WHERE
    scored.ml_score_normalized > bounds.always_above
    OR (
        scored.risk_score >= bounds.riskiest_from
        AND scored.ml_score_normalized >= scored.rule_score
        AND scored.ml_score_normalized > 0
    )
ORDER BY scored.claim_id
