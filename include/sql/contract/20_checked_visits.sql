-- The typed visits with keyed hashes in the place of participant and family numbers.
-- Grain: one row per parsed row of the raw file. Input: typed_visits, participant_keys, family_keys (all temporary).
CREATE OR REPLACE TABLE checked_visits AS
WITH nameless AS (
    SELECT
        patient.patient_key,
        family.family_key,
        visit.*
    FROM typed_visits AS visit
    LEFT JOIN participant_keys AS patient ON visit.pstv01 = patient.number
    LEFT JOIN family_keys AS family ON visit.pstv02 = family.number
)

SELECT * EXCLUDE (pstv01, pstv02) -- noqa: AM04
FROM nameless
