-- Repeat billing: claims of one patient with the same primary diagnosis and the same procedures.
-- Grain: one row per claim that has such another. duplicate_gap_days: days from its admission to the nearest other one
-- (RULESET_v1); repeat_after_days: days since the one before it, NULL for the first: the later bill is the repeat.
-- repeat_of: the claim id of the one before, where it is within 3 days.
-- repeat_identical: the one before is the very same bill: facility, INA-CBG, secondary diagnoses and amount too.
-- repeat_share: how usual a repeat within 3 days is for that diagnosis and those procedures (dialysis comes back every
-- third day), the claim itself left out, drawn towards that of all claims by as much as 20 claims, as rare care has
-- nobody to compare with; where the bills are identical, how usual identical ones are: honest series are
-- alike, but seldom to the last diagnosis. NULL where the claim is no repeat within 3 days. repeat_alike of repeat_n
-- claims are such repeats, the claim among them.
-- A window over neighbours instead of a correlated EXISTS: one sort instead of a search per claim.
CREATE OR REPLACE TABLE repeats AS
WITH bills AS (
    SELECT
        claim_id,
        patient_key,
        primary_diagnosis,
        procedure_codes,
        admission_date,
        hash(facility_key, care_digest, amount_claimed) AS bill
    FROM care
),

neighbours AS (
    SELECT
        claim_id,
        primary_diagnosis,
        procedure_codes,
        admission_date - lag(admission_date) OVER same_care AS since_earlier,
        lead(admission_date) OVER same_care - admission_date AS until_later,
        lag(bill) OVER same_care = bill AS identical,
        lag(claim_id) OVER same_care AS earlier
    FROM bills
    WINDOW same_care AS (
        PARTITION BY patient_key, primary_diagnosis, procedure_codes
        ORDER BY admission_date, claim_id
    )
),

usual AS (
    SELECT
        primary_diagnosis,
        procedure_codes,
        count(*) AS claims,
        count(*) FILTER (since_earlier <= 3) AS repeated,
        count(*) FILTER (since_earlier <= 3 AND identical) AS identical
    FROM neighbours
    GROUP BY primary_diagnosis, procedure_codes
),

overall AS (
    SELECT
        sum(repeated)::BIGINT / sum(claims)::BIGINT AS repeated,
        sum(identical)::BIGINT / sum(claims)::BIGINT AS identical
    FROM usual
)

SELECT
    neighbours.claim_id,
    least(neighbours.since_earlier, neighbours.until_later)::INTEGER AS duplicate_gap_days,
    neighbours.since_earlier::INTEGER AS repeat_after_days,
    if(neighbours.since_earlier <= 3, neighbours.earlier, NULL) AS repeat_of,
    neighbours.identical AS repeat_identical,
    if(neighbours.since_earlier <= 3, if(neighbours.identical, usual.identical, usual.repeated), NULL)::INTEGER
        AS repeat_alike,
    if(neighbours.since_earlier <= 3, usual.claims, NULL)::INTEGER AS repeat_n,
    (repeat_alike - 1 + 20 * if(neighbours.identical, overall.identical, overall.repeated)) / (repeat_n - 1 + 20)
        AS repeat_share
FROM neighbours
CROSS JOIN overall
INNER JOIN usual
    ON
        neighbours.primary_diagnosis = usual.primary_diagnosis
        AND neighbours.procedure_codes = usual.procedure_codes
WHERE neighbours.since_earlier IS NOT NULL OR neighbours.until_later IS NOT NULL
