-- Offending rows: scores of another data date, model or ruleset than the release names. No row returned means none.
SELECT
    claim_id,
    data_date,
    model_version,
    ruleset_version
FROM claims_ml_scores
WHERE
    data_date IS DISTINCT FROM $data_date
    OR model_version IS DISTINCT FROM $model_version
    OR ruleset_version IS DISTINCT FROM $ruleset_version
ORDER BY claim_id
LIMIT 5;
