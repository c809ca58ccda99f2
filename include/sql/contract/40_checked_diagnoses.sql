-- The secondary diagnoses, each with what breaks the contract.
-- Grain: one row per parsed row of the raw file. Input: view raw_diagnoses (text), table checked_visits.
CREATE OR REPLACE TABLE checked_diagnoses AS
WITH known_claims AS (
    SELECT DISTINCT claim_id
    FROM checked_visits
    WHERE claim_id IS NOT NULL
)

SELECT
    raw.row_no,
    raw.fkl02 AS claim_id,
    upper(raw.fkl24) AS diagnosis,
    concat_ws(
        '; ',
        CASE
            WHEN blank(raw.fkl02) THEN 'FKL02: missing claim id'
            WHEN known_claims.claim_id IS NULL THEN 'FKL02: no such claim in the fkrtl file'
        END,
        CASE WHEN blank(raw.fkl24) THEN 'FKL24: missing diagnosis' END
    ) AS reasons
FROM raw_diagnoses AS raw
LEFT JOIN known_claims ON raw.fkl02 = known_claims.claim_id
