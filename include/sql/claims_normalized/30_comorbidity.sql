-- A claim's different secondary diagnoses: how many, and their codes, sorted and joined by ';'.
-- Grain: one row per claim that has any.
CREATE OR REPLACE TABLE comorbidity AS
WITH listed AS (
    SELECT
        claim_id,
        list_sort(list_distinct(list(diagnosis))) AS codes
    FROM diagnoses
    GROUP BY claim_id
)

SELECT
    claim_id,
    least(len(codes), 32767)::SMALLINT AS comorbidity_count,
    array_to_string(codes, ';') AS secondary_diagnoses
FROM listed
