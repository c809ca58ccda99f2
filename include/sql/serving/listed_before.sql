-- The claims that an earlier release (attached as `before`) listed, so that a list can leave out what was read.
CREATE TEMP TABLE listed_before AS
SELECT claim_id
FROM before.claims_ml_scores
WHERE risk_score >= $min_risk
