-- How many different secondary diagnoses a claim has. Grain: one row per claim that has any.
CREATE OR REPLACE TABLE comorbidity AS
SELECT
    claim_id,
    count(DISTINCT diagnosis)::SMALLINT AS comorbidity_count
FROM diagnoses
GROUP BY claim_id
