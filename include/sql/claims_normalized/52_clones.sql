-- Cloned claims: the same care at the same amount, billed by one facility for several patients within a month.
-- Grain: one row per claim that has such others. clone_count: other patients' claims admitted up to 30 days before or
-- after with the same INA-CBG, diagnoses, procedures and amount; clone_of: one claim id each of up to four of those
-- patients.
-- clone_expected: how many there would be if the facility's patients with that INA-CBG and primary diagnosis were like
-- those elsewhere (the rest of the country has that text with that frequency, as if half a claim of ten more had it:
-- where nobody else treats that diagnosis, a batch is no excuse for itself). Which diagnoses a facility treats is its
-- own.
-- At least as many as the facility itself bills with the same care further away: a batch of clones is a burst, the
-- control visits of a specialist house are steady, and so is a coder with fixed texts. At any amount, as a tariff may
-- change (docs/adr/0038). Further away: by more than a quarter of the file's time, 31 to 90 days, where more
-- than a sixth of that time, or 61 days, is left. Of a facility with 50 claims of that INA-CBG and diagnosis, of the
-- time for which it treats them: it may have begun in October.
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
),

-- Hashes of patients and bills, as at 12 million claims the texts took tens of GB on disk; days as numbers.
alike AS (
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
),

-- Where any two patients are within a month, two that follow each other are.
followed AS (
    SELECT
        bill,
        day - lag(day) OVER in_turn <= 30 AND patient <> lag(patient) OVER in_turn AS near
    FROM alike
    WINDOW in_turn AS (PARTITION BY bill ORDER BY day, patient)
),

suspects AS (
    SELECT alike.*
    FROM alike
    SEMI JOIN followed ON alike.bill = followed.bill AND followed.near
),

-- Who is near or far is counted by events along the days, not by a join of bills with themselves: of 20,000 equal bills
-- that made 400 million pairs. A patient's days up to 60 apart are one presence: from 30 days before the first to 30
-- after the last he is near.
days AS (
    SELECT
        bill,
        patient,
        day,
        coalesce(day - lag(day) OVER (PARTITION BY bill, patient ORDER BY day) > 60, TRUE) AS begins
    FROM suspects
    GROUP BY bill, patient, day
),

numbered AS (
    SELECT
        *,
        count(*) FILTER (begins) OVER (PARTITION BY bill, patient ORDER BY day) AS presence
    FROM days
),

presences AS (
    SELECT
        bill,
        min(day) AS first_day,
        max(day) AS last_day
    FROM numbered
    GROUP BY bill, patient, presence
),

near_events AS (
    SELECT
        bill,
        first_day - 30 AS day,
        1 AS near
    FROM presences
    UNION ALL
    SELECT
        bill,
        last_day + 31 AS day,
        -1 AS near
    FROM presences
),

running AS (
    SELECT
        bill,
        day,
        sum(sum(near)) OVER (PARTITION BY bill ORDER BY day) AS near
    FROM near_events
    GROUP BY bill, day
),

patients AS (
    SELECT
        alike.own_text,
        alike.patient,
        any_value(alike.apart) AS apart,
        min(alike.day) AS first_day,
        max(alike.day) AS last_day
    FROM alike
    SEMI JOIN suspects ON alike.own_text = suspects.own_text
    GROUP BY alike.own_text, alike.patient
),

far_events AS (
    SELECT
        own_text,
        -1000000 AS day,
        1 AS far
    FROM patients
    UNION ALL -- not far while all of the patient's days are within reach
    SELECT
        own_text,
        last_day - apart AS day,
        -1 AS far
    FROM patients
    WHERE first_day + apart >= last_day - apart
    UNION ALL
    SELECT
        own_text,
        first_day + apart + 1 AS day,
        1 AS far
    FROM patients
    WHERE first_day + apart >= last_day - apart
),

running_far AS (
    SELECT
        own_text,
        day,
        sum(sum(far)) OVER (PARTITION BY own_text ORDER BY day) AS far
    FROM far_events
    GROUP BY own_text, day
),

-- The patient is near himself, and may be far.
counted AS (
    SELECT
        suspects.*,
        running.near - 1 AS near_patients,
        running_far.far - (
            patients.first_day < suspects.day - suspects.apart OR patients.last_day > suspects.day + suspects.apart
        )::INTEGER AS far_patients
    FROM suspects
    INNER JOIN patients ON suspects.own_text = patients.own_text AND suspects.patient = patients.patient
    ASOF JOIN running ON suspects.bill = running.bill AND suspects.day >= running.day
    ASOF JOIN running_far ON suspects.own_text = running_far.own_text AND suspects.day >= running_far.day
    WHERE running.near > 1
),

-- Who has a claim within 30 days of a day has there his first or his last one of some 31 days, and at most six such.
bounds AS (
    SELECT
        *,
        coalesce(lag(day // 31) OVER of_patient <> day // 31, TRUE)
        OR coalesce(lead(day // 31) OVER of_patient <> day // 31, TRUE) AS is_bound
    FROM counted
    WINDOW of_patient AS (PARTITION BY bill, patient ORDER BY day, claim_id)
),

named AS (
    SELECT
        *,
        -- Six of the patient, six of each of three others, and one of a fourth.
        min({ 'claim_id': claim_id, 'patient': patient }, 25) FILTER (is_bound) OVER (
            PARTITION BY bill ORDER BY day RANGE BETWEEN 30 PRECEDING AND 30 FOLLOWING
        ) AS near_claims
    FROM bounds
),

pairs AS (
    SELECT
        claim_id,
        patient,
        unnest(near_claims) AS near
    FROM named
),

others AS (
    SELECT
        pairs.claim_id,
        min(pairs.near.claim_id) AS other
    FROM pairs
    WHERE pairs.near.patient <> pairs.patient
    GROUP BY pairs.claim_id, pairs.near.patient
),

first_others AS (
    SELECT
        claim_id,
        min(other, 4) AS clone_of
    FROM others
    GROUP BY claim_id
)

SELECT
    named.claim_id,
    greatest(
        named.expected_a_day * named.near_days,
        if(
            named.far_days > named.least_far_days,
            named.far_patients * named.near_days / named.far_days,
            0
        )
    ) AS clone_expected,
    named.near_patients::INTEGER AS clone_count,
    first_others.clone_of,
    least(5 * (1 - named.expected_a_month), 1) AS clone_weight
FROM named
INNER JOIN first_others ON named.claim_id = first_others.claim_id
