-- Cloned claims: the same care at the same amount, billed by one facility for several patients within a month.
-- Grain: one row per claim that has such others. clone_count: other patients' claims admitted up to 30 days before or
-- after with the same INA-CBG, diagnoses, procedures and amount; clone_of: the claim ids of up to four of them.
-- clone_expected: how many there would be if the facility's patients with that INA-CBG and primary diagnosis were like
-- those elsewhere (the rest of the country has that text with that frequency, half a claim where it is nowhere). Which
-- diagnoses a facility treats is its own.
-- At least as many as the facility itself bills alike more than 90 days away: a batch of clones is a burst, the control
-- visits of a specialist house are steady.
-- Only where fewer than one is expected is it worth counting: most outpatient visits are honestly alike. clone_weight
-- (0..1) falls from 0.8 on of what other facilities lead one to expect, so that a day more of claims makes no leap.
CREATE OR REPLACE TABLE clones AS
WITH texts AS (
    SELECT
        facility_key,
        care_digest,
        any_value(hash(inacbg_code, primary_diagnosis)) AS treated, -- both are in care_digest
        count(*) AS own_alike
    FROM care
    GROUP BY facility_key, care_digest
),

-- The part of the file's days that lie within a month of a claim; and how many lie more than 90 days from it.
near AS (
    SELECT
        least(61 / (max(admission_date) - min(admission_date) + 1), 1) AS share,
        max(admission_date) - min(admission_date) + 1 - 181 AS other_days
    FROM care
),

compared AS (
    SELECT
        *,
        sum(own_alike) OVER (PARTITION BY treated) AS all_code,
        sum(own_alike) OVER (PARTITION BY treated, facility_key) AS own_code,
        sum(own_alike) OVER (PARTITION BY care_digest) AS all_alike
    FROM texts
),

rare AS (
    SELECT
        compared.facility_key,
        compared.care_digest,
        near.other_days,
        compared.own_code::BIGINT * near.share
        * ((compared.all_alike - compared.own_alike)::BIGINT + 0.5)
        / ((compared.all_code - compared.own_code)::BIGINT + 1) AS clone_expected
    FROM compared
    CROSS JOIN near
    WHERE compared.own_alike > 1
),

suspects AS (
    SELECT
        care.claim_id,
        care.patient_key,
        care.facility_key,
        care.care_digest,
        care.amount_claimed,
        care.admission_date,
        rare.clone_expected,
        rare.other_days
    FROM care
    INNER JOIN rare ON care.facility_key = rare.facility_key AND care.care_digest = rare.care_digest
    WHERE rare.clone_expected < 1
)

SELECT
    suspects.claim_id,
    greatest(
        any_value(suspects.clone_expected),
        count(DISTINCT others.patient_key) FILTER (abs(suspects.admission_date - others.admission_date) > 90)
        * if(any_value(suspects.other_days) > 61, 61 / any_value(suspects.other_days), 0)
    ) AS clone_expected,
    (count(DISTINCT others.patient_key) FILTER (abs(suspects.admission_date - others.admission_date) <= 30))::INTEGER
        AS clone_count,
    min(others.claim_id, 4) FILTER (abs(suspects.admission_date - others.admission_date) <= 30) AS clone_of,
    least(5 * (1 - any_value(suspects.clone_expected)), 1) AS clone_weight
FROM suspects
INNER JOIN suspects AS others
    ON
        suspects.facility_key = others.facility_key
        AND suspects.care_digest = others.care_digest
        AND suspects.amount_claimed = others.amount_claimed
        AND suspects.patient_key <> others.patient_key
GROUP BY suspects.claim_id
HAVING clone_count > 0
