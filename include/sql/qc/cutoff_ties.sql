-- How many claims share the lowest risk score of the list: among them the order below the risk score decides who is
-- on it. Grain: one row.
SELECT count(*) AS row_count
FROM claims_high_risk
WHERE risk_score = $cutoff
