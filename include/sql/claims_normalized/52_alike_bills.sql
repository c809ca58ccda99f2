-- What may be cloned: claims whose text (INA-CBG, primary and secondary diagnoses, procedures) is rare for what the
-- facility treats, and what of it is to be expected; 52_clones.sql counts them. Grain: one row per such claim.
-- expected_a_day: how many there would be if the facility's patients with that INA-CBG and primary diagnosis were like
-- those elsewhere (the rest of the country has that text with that frequency, as if half a claim of ten more had it:
-- where nobody else treats that diagnosis, a batch is no excuse for itself). Which diagnoses a facility treats is its
-- own. Only where fewer than one is expected within a month on either side is it worth counting: most outpatient visits
-- are honestly alike.
-- near_days, far_days: days of the file within 30 of the claim, and further away than `apart`: than a quarter of the
-- file's time, 31 to 90 days. Of a facility with 50 claims of that INA-CBG and diagnosis, of the time for which it
-- treats them: it may have begun in October. least_far_days: a sixth of that time, or 61 days; less is too little to
-- tell.
-- Hashes of patients and bills, as at 12 million claims the texts took tens of GB on disk; days as numbers.
CREATE OR REPLACE TABLE alike_bills AS
WITH texts AS (
    SELECT
        facility_key,
        care_digest,
        any_value(hash(inacbg_code, primary_diagnosis)) AS treated, -- both are in care_digest
        count(*) AS own_alike,
        min(admission_date) AS since,
        max(admission_date) AS until,
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
        sum(own_alike)::BIGINT AS claims,
        min(since) AS since,
        max(until) AS until
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
        expected_a_day * least(61, period.days) AS expected_a_month,
        if(by_own_code.claims >= 50, greatest(by_own_code.since, period.first_day), period.first_day)
        - DATE '2000-01-01' AS from_day,
        if(by_own_code.claims >= 50, least(by_own_code.until, period.last_day), period.last_day)
        - DATE '2000-01-01' AS to_day,
        to_day - from_day + 1 AS days_treated,
        greatest(least(90, days_treated // 4), 31) AS apart,
        greatest(least(61, days_treated / 6), 0) AS least_far_days
    FROM texts
    CROSS JOIN period
    INNER JOIN by_code ON texts.treated = by_code.treated
    INNER JOIN by_own_code ON texts.treated = by_own_code.treated AND texts.facility_key = by_own_code.facility_key
    INNER JOIN by_text ON texts.care_digest = by_text.care_digest
    WHERE texts.of_several AND expected_a_month < 1
)

SELECT
    care.claim_id,
    hash(care.patient_key) AS patient,
    hash(care.facility_key, care.care_digest) AS own_text,
    hash(care.facility_key, care.care_digest, care.amount_claimed) AS bill,
    care.admission_date - DATE '2000-01-01' AS day,
    rare.* EXCLUDE (facility_key, care_digest, days_treated), -- noqa: RF02
    -- Fewer at the file's ends, but the claim's own month.
    greatest(
        least(care.admission_date + 30, period.last_day) - greatest(care.admission_date - 30, period.first_day) + 1,
        least(31, period.days)
    ) AS near_days,
    greatest(day - rare.apart - rare.from_day, 0) + greatest(rare.to_day - day - rare.apart, 0) AS far_days
FROM care
CROSS JOIN period
INNER JOIN rare ON care.facility_key = rare.facility_key AND care.care_digest = rare.care_digest
