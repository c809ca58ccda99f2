-- Cloned claims: the same care at the same amount, billed by one facility for several patients within a month.
-- Grain: one row per claim that has such others. clone_count: other patients' claims admitted up to 30 days before or
-- after with the same INA-CBG, diagnoses, procedures and amount; clone_of: the claim ids of up to four of them.
-- clone_expected: how many there would be if the facility's patients with that INA-CBG and primary diagnosis were like
-- those elsewhere (the rest of the country has that text with that frequency, as if half a claim of ten more had it:
-- where nobody else treats that diagnosis, a batch is no excuse for itself). Which diagnoses a facility treats is its
-- own.
-- At least as many as the facility itself bills alike more than 90 days away: a batch of clones is a burst, the control
-- visits of a specialist house are steady.
-- Only where fewer than one is expected within a month on either side is it worth counting: most outpatient visits are
-- honestly alike. clone_weight (0..1) falls from 0.8 on of what other facilities lead one to expect, so that a day more
-- of claims makes no leap.
CREATE OR REPLACE TABLE clones AS
WITH texts AS (
    SELECT
        facility_key,
        care_digest,
        any_value(hash(inacbg_code, primary_diagnosis)) AS treated, -- both are in care_digest
        count(*) AS own_alike,
        min(patient_key) <> max(patient_key) AS of_several
    FROM care
    GROUP BY facility_key, care_digest
),

-- The days of the file; without the first and the last hundredth of its claims, as one stray date would make it years.
period AS (
    SELECT
        quantile_disc(admission_date, 0.01) AS first_day,
        quantile_disc(admission_date, 0.99) AS last_day,
        last_day - first_day + 1 AS days
    FROM care
),

by_code AS (
    SELECT
        treated,
        sum(own_alike)::BIGINT AS claims
    FROM texts
    GROUP BY treated
),

by_own_code AS (
    SELECT
        treated,
        facility_key,
        sum(own_alike)::BIGINT AS claims
    FROM texts
    GROUP BY treated, facility_key
),

by_text AS (
    SELECT
        care_digest,
        sum(own_alike)::BIGINT AS claims
    FROM texts
    GROUP BY care_digest
),

rare AS (
    SELECT
        texts.facility_key,
        texts.care_digest,
        by_own_code.claims / period.days
        * (by_text.claims - texts.own_alike + 0.5)
        / (by_code.claims - by_own_code.claims + 10) AS expected_a_day,
        expected_a_day * least(61, period.days) AS expected_a_month
    FROM texts
    CROSS JOIN period
    INNER JOIN by_code ON texts.treated = by_code.treated
    INNER JOIN by_own_code ON texts.treated = by_own_code.treated AND texts.facility_key = by_own_code.facility_key
    INNER JOIN by_text ON texts.care_digest = by_text.care_digest
    WHERE texts.of_several AND expected_a_month < 1
),

-- Hashes of patients and bills: this joins with itself, and at 12 million claims the texts took tens of GB on disk.
suspects AS (
    SELECT
        care.claim_id,
        hash(care.patient_key) AS patient,
        hash(care.facility_key, care.care_digest, care.amount_claimed) AS bill,
        care.admission_date,
        rare.expected_a_day,
        rare.expected_a_month,
        -- Fewer at the file's ends, but the claim's own month.
        greatest(
            least(care.admission_date + 30, period.last_day) - greatest(care.admission_date - 30, period.first_day) + 1,
            least(31, period.days)
        ) AS near_days,
        period.days
        - (least(care.admission_date + 90, period.last_day) - greatest(care.admission_date - 90, period.first_day) + 1)
            AS far_days
    FROM care
    CROSS JOIN period
    INNER JOIN rare ON care.facility_key = rare.facility_key AND care.care_digest = rare.care_digest
)

SELECT
    suspects.claim_id,
    greatest(
        any_value(suspects.expected_a_day * suspects.near_days),
        count(DISTINCT others.patient) FILTER (abs(suspects.admission_date - others.admission_date) > 90)
        * any_value(if(suspects.far_days > 61, suspects.near_days / suspects.far_days, 0))
    ) AS clone_expected,
    (count(DISTINCT others.patient) FILTER (abs(suspects.admission_date - others.admission_date) <= 30))::INTEGER
        AS clone_count,
    min(others.claim_id, 4) FILTER (abs(suspects.admission_date - others.admission_date) <= 30) AS clone_of,
    least(5 * (1 - any_value(suspects.expected_a_month)), 1) AS clone_weight
FROM suspects
INNER JOIN suspects AS others ON suspects.bill = others.bill AND suspects.patient <> others.patient
GROUP BY suspects.claim_id
HAVING clone_count > 0
