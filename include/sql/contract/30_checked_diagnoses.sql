-- The secondary diagnoses, each with what breaks the contract. The one scan of the raw file.
-- Grain: one row per parsed row of the raw file, in its order: rowid + 1 is the number of the row, as in
-- 10_checked_visits.sql. Input: view raw_diagnoses (text, as it stands in the file).
CREATE OR REPLACE TABLE checked_diagnoses AS
WITH typed AS (
    SELECT
        cleaned(raw.fkl02) AS claim_id,
        raw.fkl24,
        as_icd(raw.fkl24) AS diagnosis
    FROM raw_diagnoses AS raw
)

SELECT
    claim_id,
    diagnosis,
    concat_ws(
        '; ',
        CASE WHEN claim_id IS NULL THEN 'FKL02: missing claim id' END,
        CASE
            WHEN diagnosis IS NOT NULL THEN NULL
            WHEN blank(fkl24) THEN 'FKL24: missing diagnosis'
            ELSE 'FKL24: not a diagnosis code'
        END
    ) AS reasons
FROM typed
