-- Repeat billing: claims of one patient with the same primary diagnosis and the same procedures.
-- Grain: one row per claim that has such another. duplicate_gap_days: days from its admission to the nearest other one
-- (RULESET_v1); repeat_after_days: days since the one before it, NULL for the first: the later bill is the repeat.
-- repeat_of: the claim id of the one before, where it is within 3 days; of several the last that is the very same bill
-- (repeat_identical: facility, INA-CBG, secondary diagnoses and amount too), else the last.
-- repeat_share: how usual a repeat within 3 days is for other patients with that diagnosis and those procedures
-- (dialysis comes back every third day), drawn towards that of all claims by as much as 20 claims, as rare care has
-- nobody to compare with; where the bills are identical, how usual identical ones are: honest series are alike, but
-- seldom to the last diagnosis. Of the patient's own repeats up to three are left out, so that one copy more is no
-- excuse for the others; more of them are a course of treatment. NULL where the claim is no repeat within 3 days.
-- Newborns (main group P) admitted on one day are twins under their mother's number, no repeat; nor is a stay elsewhere
-- from the day on which the one before ends, or the next: a transfer (docs/adr/0046).
-- repeat_elsewhere: the one before is another facility's.
-- repeat_alike of repeat_n claims are such repeats, the patient's own among them.
-- Windows over neighbours instead of a correlated EXISTS: a sort instead of a search per claim.
CREATE OR REPLACE TABLE repeats AS
WITH neighbours AS (
    SELECT
        claim_id,
        patient_key,
        facility_key,
        care_digest,
        amount_claimed,
        primary_diagnosis,
        procedure_codes,
        admission_date,
        starts_with(inacbg_code, 'P-') AS newborn,
        admission_date - lag(admission_date) OVER same_care AS since_earlier,
        lead(admission_date) OVER same_care - admission_date AS until_later,
        lag(claim_id) OVER same_care AS earlier,
        lag(facility_key) OVER same_care <> facility_key AS elsewhere,
        -- As stays have a discharge; an outpatient's visits at two facilities on two days are no transfer.
        elsewhere
        AND service_type = 'RITL'
        AND lag(service_type) OVER same_care = 'RITL'
        AND admission_date - lag(discharge_date) OVER same_care BETWEEN 0 AND 1 AS transferred
    FROM care
    WINDOW same_care AS (
        PARTITION BY patient_key, primary_diagnosis, procedure_codes
        ORDER BY admission_date, claim_id
    )
),

-- Those near one another; the very same bill need not be the very last one.
near AS (
    SELECT
        neighbours.*,
        neighbours.admission_date - lag(neighbours.admission_date) OVER same_bill AS since_same_bill,
        lag(neighbours.claim_id) OVER same_bill AS same_bill
    FROM neighbours
    ANTI JOIN shared_numbers ON neighbours.patient_key = shared_numbers.patient_key
    WHERE neighbours.since_earlier <= 3 OR neighbours.until_later <= 3
    WINDOW same_bill AS (
        PARTITION BY
            neighbours.patient_key,
            neighbours.primary_diagnosis,
            neighbours.procedure_codes,
            neighbours.facility_key,
            neighbours.care_digest,
            neighbours.amount_claimed
        ORDER BY neighbours.admission_date, neighbours.claim_id
    )
),

repeated AS (
    SELECT
        claim_id,
        patient_key,
        primary_diagnosis,
        procedure_codes,
        newborn,
        coalesce(since_same_bill <= 3, FALSE) AS identical,
        elsewhere AND NOT identical AS elsewhere,
        if(identical, same_bill, earlier) AS earlier,
        if(identical, since_same_bill, since_earlier) AS after_days
    FROM near
    WHERE
        since_earlier <= 3
        AND NOT (newborn AND after_days = 0)
        AND (identical OR NOT transferred)
),

by_patient AS (
    SELECT
        patient_key,
        primary_diagnosis,
        procedure_codes,
        count(*) AS repeated,
        count(*) FILTER (identical) AS identical
    FROM repeated
    GROUP BY patient_key, primary_diagnosis, procedure_codes
),

by_care AS (
    SELECT
        primary_diagnosis,
        procedure_codes,
        count(*) AS claims
    FROM persons
    GROUP BY primary_diagnosis, procedure_codes
),

usual AS (
    SELECT
        by_care.primary_diagnosis,
        by_care.procedure_codes,
        any_value(by_care.claims) AS claims,
        sum(by_patient.repeated)::BIGINT AS repeated,
        sum(by_patient.identical)::BIGINT AS identical
    FROM by_care
    INNER JOIN by_patient
        ON
            by_care.primary_diagnosis = by_patient.primary_diagnosis
            AND by_care.procedure_codes = by_patient.procedure_codes
    GROUP BY by_care.primary_diagnosis, by_care.procedure_codes
),

overall AS (
    SELECT
        (SELECT count(*) FROM repeated) / count(*) AS repeated,
        (SELECT count(*) FILTER (repeated.identical) FROM repeated) / count(*) AS identical
    FROM persons
),

weighed AS (
    SELECT
        repeated.claim_id,
        repeated.after_days,
        repeated.earlier,
        repeated.identical,
        repeated.elsewhere,
        if(repeated.identical, usual.identical, usual.repeated) AS alike,
        usual.claims AS n,
        least(if(repeated.identical, by_patient.identical, by_patient.repeated), 3) AS own,
        (alike - own + 20 * if(repeated.identical, overall.identical, overall.repeated)) / (n - own + 20) AS share
    FROM repeated
    CROSS JOIN overall
    INNER JOIN by_patient
        ON
            repeated.patient_key = by_patient.patient_key
            AND repeated.primary_diagnosis = by_patient.primary_diagnosis
            AND repeated.procedure_codes = by_patient.procedure_codes
    INNER JOIN usual
        ON repeated.primary_diagnosis = usual.primary_diagnosis AND repeated.procedure_codes = usual.procedure_codes
)

SELECT
    neighbours.claim_id,
    least(neighbours.since_earlier, neighbours.until_later)::INTEGER AS duplicate_gap_days,
    coalesce(weighed.after_days, neighbours.since_earlier)::INTEGER AS repeat_after_days,
    weighed.earlier AS repeat_of,
    weighed.identical AS repeat_identical,
    weighed.elsewhere AS repeat_elsewhere,
    weighed.alike::INTEGER AS repeat_alike,
    weighed.n::INTEGER AS repeat_n,
    weighed.share AS repeat_share
FROM neighbours
LEFT JOIN weighed ON neighbours.claim_id = weighed.claim_id
WHERE neighbours.since_earlier IS NOT NULL OR neighbours.until_later IS NOT NULL
