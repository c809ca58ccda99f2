-- What may be cloned, and what of it is to be expected; 52_clones.sql counts it. Grain: one row per such claim and way
-- to be alike: by its text (INA-CBG, primary and secondary diagnoses, procedures), where that is rare for what the
-- facility treats, or, by_amount, by an INA-CBG billed off its tariff, whatever its text: a list's prices are honestly
-- the same, others hardly ever (docs/adr/0041).
-- expected_a_day: how many there would be if the facility's patients with that INA-CBG and primary diagnosis
-- (by_amount: its bills of that INA-CBG off the tariff) were like those elsewhere (the rest of the country has that
-- text, or amount, with that frequency, as if half a claim of ten more had it: where nobody else treats that diagnosis,
-- a batch is no excuse for itself). Which diagnoses a facility treats is its own. Only where fewer than one is expected
-- within a month on either side is it worth counting: most outpatient visits are honestly alike.
-- near_days, far_days: days of the file within 30 of the claim, and further away than `apart`: than a quarter of the
-- file's time, 31 to 90 days. Of a facility with 50 claims of that INA-CBG and diagnosis, of the time for which it
-- treats them: it may have begun in October. least_far_days: a sixth of that time, or 61 days; less is too little to
-- tell.
-- weight (0..1) falls from 0.8 expected within a month on, so that a day more of claims makes no leap; by_amount also
-- from a tenth of the facility's claims on whose amount off the tariff it bills more than two months apart (a third of
-- its time, if that is less): it has a price list of its own, and from a fifth on its amounts tell nothing.
-- Hashes of patients and bills, as at 12 million claims the texts took tens of GB on disk; days as numbers.
CREATE OR REPLACE TABLE alike_bills AS
WITH bills AS (
    SELECT
        claim_id,
        patient_key,
        facility_key,
        admission_date,
        FALSE AS by_amount,
        care_digest AS alike_in,
        hash(inacbg_code, primary_diagnosis) AS treated, -- both are in care_digest
        hash(facility_key, care_digest) AS own_text,
        hash(facility_key, care_digest, amount_claimed) AS bill
    FROM care
    UNION ALL
    SELECT
        claim_id,
        patient_key,
        facility_key,
        admission_date,
        TRUE AS by_amount,
        hash('amount', inacbg_code, amount_claimed) AS alike_in,
        hash('amount', inacbg_code) AS treated,
        hash('amount', facility_key, inacbg_code) AS own_text,
        hash('amount', facility_key, inacbg_code, amount_claimed) AS bill
    FROM care
    WHERE inacbg_tariff > 0 AND amount_claimed <> inacbg_tariff + topup_amount
),

texts AS (
    SELECT
        facility_key,
        alike_in,
        any_value(by_amount) AS by_amount,
        any_value(treated) AS treated,
        count(*) AS own_alike,
        min(admission_date) AS since,
        max(admission_date) AS until,
        min(patient_key) <> max(patient_key) AS of_several
    FROM bills
    GROUP BY facility_key, alike_in
),

own_times AS (
    SELECT
        facility_key,
        least(60, (max(until) - min(since)) / 3) AS apart
    FROM texts
    GROUP BY facility_key
),

own_lists AS (
    SELECT
        texts.facility_key,
        coalesce(sum(texts.own_alike) FILTER (texts.by_amount AND texts.until - texts.since > own_times.apart), 0)
        / sum(texts.own_alike) FILTER (NOT texts.by_amount) AS share
    FROM texts
    INNER JOIN own_times ON texts.facility_key = own_times.facility_key
    GROUP BY texts.facility_key
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
        alike_in,
        sum(own_alike)::BIGINT AS claims
    FROM texts
    GROUP BY alike_in
),

rare AS (
    SELECT
        texts.facility_key,
        texts.alike_in,
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
        greatest(least(61, days_treated / 6), 0) AS least_far_days,
        least(5 * (1 - expected_a_month), 1)
        * if(texts.by_amount, least(greatest(2 - 10 * own_lists.share, 0), 1), 1) AS weight
    FROM texts
    CROSS JOIN file_period AS period
    INNER JOIN own_lists ON texts.facility_key = own_lists.facility_key
    INNER JOIN by_code ON texts.treated = by_code.treated
    INNER JOIN by_own_code ON texts.treated = by_own_code.treated AND texts.facility_key = by_own_code.facility_key
    INNER JOIN by_text ON texts.alike_in = by_text.alike_in
    -- Of other amounts, one patient's, too, as they tell how many stand near and far at any.
    WHERE (texts.of_several OR texts.by_amount) AND expected_a_month < 1 AND weight > 0
)

SELECT
    bills.claim_id,
    bills.by_amount,
    hash(bills.patient_key) AS patient,
    bills.own_text,
    bills.bill,
    bills.admission_date - DATE '2000-01-01' AS day,
    rare.* EXCLUDE (facility_key, alike_in, expected_a_month, from_day, to_day, days_treated), -- noqa: RF02
    -- Fewer at the file's ends, but the claim's own month.
    greatest(
        least(bills.admission_date + 30, period.last_day) - greatest(bills.admission_date - 30, period.first_day) + 1,
        least(31, period.days)
    ) AS near_days,
    greatest(day - rare.apart - rare.from_day, 0) + greatest(rare.to_day - day - rare.apart, 0) AS far_days
FROM bills
CROSS JOIN file_period AS period
INNER JOIN rare ON bills.facility_key = rare.facility_key AND bills.alike_in = rare.alike_in
