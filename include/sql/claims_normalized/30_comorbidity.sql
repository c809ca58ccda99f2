-- A claim's different secondary diagnoses: how many, a digest that is the same for the same set of them, and their
-- codes, sorted and joined by ';'.
-- Grain: one row per claim that has any. The digest is a sum of hashes: the order of the rows does not matter.
CREATE OR REPLACE TABLE comorbidity AS
WITH different AS (
    SELECT DISTINCT
        claim_id,
        diagnosis
    FROM diagnoses
)

SELECT
    claim_id,
    least(count(*), 32767)::SMALLINT AS comorbidity_count,
    sum(hash(diagnosis)) AS secondary_digest,
    array_to_string(list_sort(list(diagnosis)), ';') AS secondary_diagnoses
FROM different
GROUP BY claim_id
