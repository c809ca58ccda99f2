-- RULESET_v1: risk_score = max(rule_score, ml_score_normalized).
SELECT
    claim_id,
    format('risk {} with rule {} and model {}', risk_score, rule_score, ml_score_normalized) AS finding
FROM candidate
WHERE
    ruleset_version = 'RULESET_v1'
    AND risk_score <> greatest(rule_score, ml_score_normalized)
