-- Readmissions: stays of a patient who left any hospital up to 30 days before (the usual window of readmission
-- measures, e.g. CMS's Hospital Readmissions Reduction Program).
-- Newborns (main group P) by themselves: mother and child share a number.
-- Grain: one row per such stay. readmission_after_days: days since the last discharge before it; a stay that begins
-- while the patient is still in another one is none. readmission_share: how usual a
-- readmission is for that INA-CBG (without severity), half of the claim left out, drawn towards that of all stays by as
-- much as 20 stays.
CREATE OR REPLACE TABLE readmissions AS
WITH neighbours AS (
    SELECT
        claim_id,
        inacbg_base,
        admission_date - max(discharge_date) OVER earlier_stays AS since_discharge
    FROM persons
    WHERE service_type = 'RITL'
    WINDOW earlier_stays AS (
        PARTITION BY patient_key, starts_with(inacbg_base, 'P-')
        ORDER BY admission_date, discharge_date, claim_id
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    )
),

within AS (
    SELECT
        claim_id,
        inacbg_base,
        CASE WHEN since_discharge BETWEEN 0 AND 30 THEN since_discharge END AS after_days
    FROM neighbours
),

usual AS (
    SELECT
        inacbg_base,
        count(*) AS stays,
        count(after_days) AS readmitted,
        (SELECT count(every.after_days) / count(*) FROM within AS every) AS overall
    FROM within
    GROUP BY inacbg_base
)

SELECT
    within.claim_id,
    within.after_days::INTEGER AS readmission_after_days,
    (usual.readmitted - 0.5 + 20 * usual.overall) / (usual.stays + 20) AS readmission_share
FROM within
INNER JOIN usual ON within.inacbg_base = usual.inacbg_base
WHERE within.after_days IS NOT NULL
