-- Offending rows: claim ids that are missing or scored more than once. No row returned means none.
SELECT
    claim_id,
    count(*) AS times
FROM claims_ml_scores
GROUP BY claim_id
HAVING claim_id IS NULL OR count(*) > 1
ORDER BY claim_id
LIMIT 5;
