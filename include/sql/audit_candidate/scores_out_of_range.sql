-- ml_score is a number; the other scores are numbers from 0 to 1.
SELECT
    claim_id,
    format('ml {}, normalized {}, rule {}, risk {}', ml_score, ml_score_normalized, rule_score, risk_score) AS finding
FROM candidate
WHERE
    NOT coalesce(isfinite(ml_score), FALSE)
    OR NOT coalesce(ml_score_normalized BETWEEN 0 AND 1, FALSE)
    OR NOT coalesce(rule_score BETWEEN 0 AND 1, FALSE)
    OR NOT coalesce(risk_score BETWEEN 0 AND 1, FALSE)
