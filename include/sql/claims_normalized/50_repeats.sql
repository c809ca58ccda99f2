-- Repeat billing: claims of one patient with the same primary diagnosis and the same procedures, and the days from its
-- admission to the nearest other one of theirs. Grain: one row per claim that has such another.
-- A window over neighbours instead of a correlated EXISTS: one sort instead of a search per claim.
CREATE OR REPLACE TABLE repeats AS
WITH care AS (
    SELECT
        visit.claim_id,
        visit.patient_key,
        visit.primary_diagnosis,
        visit.admission_date,
        coalesce(procedure_codes.codes, '') AS procedure_codes
    FROM known_visits AS visit
    LEFT JOIN procedure_codes ON visit.procedures = procedure_codes.procedures
),

neighbours AS (
    SELECT
        claim_id,
        admission_date,
        lag(admission_date) OVER same_care AS earlier,
        lead(admission_date) OVER same_care AS later
    FROM care
    WINDOW same_care AS (
        PARTITION BY patient_key, primary_diagnosis, procedure_codes
        ORDER BY admission_date, claim_id
    )
)

SELECT
    claim_id,
    least(admission_date - earlier, later - admission_date)::INTEGER AS duplicate_gap_days
FROM neighbours
WHERE earlier IS NOT NULL OR later IS NOT NULL
