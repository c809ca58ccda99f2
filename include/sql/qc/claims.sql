-- The claims as readers see them, with only what the per-claim expectations look at.
-- Grain: one row per row of claims_high_risk. They are looked at in parts, so that a claim is listed twice comes as a
-- mark, too. A score that is no finite number comes as NULL. Flags and reasons come as marks (1: missing) and numbers
-- as DOUBLE, because Great Expectations walks lists and smaller integers row by row.
SELECT
    claim_id,
    los::DOUBLE AS los,
    amount_claimed::DOUBLE AS amount_claimed,
    service_type,
    severity_group,
    CASE WHEN isfinite(ml_score) THEN ml_score END AS ml_score,
    CASE WHEN isfinite(ml_score_normalized) THEN ml_score_normalized END AS ml_score_normalized,
    CASE WHEN isfinite(rule_score) THEN rule_score END AS rule_score,
    CASE WHEN isfinite(risk_score) THEN risk_score END AS risk_score,
    -- RULESET_v1 takes the larger part; later rulesets add to the rules' part.
    if(
        ruleset_version = 'RULESET_v1',
        abs(risk_score - greatest(rule_score, ml_score_normalized)),
        greatest(rule_score - risk_score, 0)
    ) AS risk_score_residual,
    (los IS NULL OR amount_claimed IS NULL OR service_type IS NULL OR severity_group IS NULL)::TINYINT
        AS claim_facts_missing,
    (ruleset_version = 'RULESET_v1' AND coalesce(rule_score, 0) > 0 AND coalesce(len(flags), 0) = 0)::TINYINT
        AS flag_missing,
    (
        (coalesce(len(flags), 0) > 0 OR (ruleset_version = 'RULESET_v1' AND coalesce(rule_score, 0) > 0))
        AND coalesce(CASE WHEN json_valid(reasons) THEN json_array_length(reasons) END, 0) = 0
    )::TINYINT AS reason_missing,
    coalesce(
        claim_id IN (
            SELECT twice.claim_id
            FROM claims_high_risk AS twice
            WHERE twice.claim_id IS NOT NULL
            GROUP BY twice.claim_id
            HAVING count(*) > 1
        ),
        FALSE
    )::TINYINT AS claim_id_repeated
FROM claims_high_risk
