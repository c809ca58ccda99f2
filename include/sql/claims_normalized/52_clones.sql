-- Cloned claims: the same care at the same amount, billed by one facility for several patients within a month.
-- Grain: one row per claim that has such others. clone_count: other patients of that facility with such a claim within
-- 30 days, the same INA-CBG, diagnoses, procedures and amount; clone_by_amount: with the same INA-CBG and amount, off
-- its tariff, where that tells more; clone_of: one claim id each of up to four of those patients.
-- clone_expected: what other facilities lead one to expect (52_alike_bills.sql), and at least as many as the facility
-- itself bills alike further away: a batch of clones is a burst, the control visits of a specialist house are steady,
-- and so is a coder with fixed texts. And at least as many as it bills there with that care at any amount, without
-- those that stand near at other amounts: a tariff may change (docs/adr/0038).
-- clone_deviance, in nats: of a count above what is expected, of a gamma-Poisson mixture of shape 10 (negative
-- binomial): seasons, campaigns make a facility's months differ by a third. Times the weight of 52_alike_bills.sql.
CREATE OR REPLACE TABLE clones AS
WITH followed AS ( -- where any two patients are within a month, two that follow each other are
    SELECT
        bill,
        day - lag(day) OVER in_turn <= 30 AND patient <> lag(patient) OVER in_turn AS near
    FROM alike_bills
    WINDOW in_turn AS (PARTITION BY bill ORDER BY day, patient)
),

suspects AS (
    SELECT alike_bills.*
    FROM alike_bills
    SEMI JOIN followed ON alike_bills.bill = followed.bill AND followed.near
),

-- Who is near or far is counted by events along the days, not by a join of bills with themselves: of 20,000 equal bills
-- that made 400 million pairs. A patient's days up to 60 apart are one presence: from 30 days before the first to 30
-- after the last he is near.
alikes AS (
    SELECT
        bill AS alike_by,
        patient,
        day,
        apart
    FROM suspects
    UNION ALL
    SELECT
        alike_bills.own_text AS alike_by,
        alike_bills.patient,
        alike_bills.day,
        alike_bills.apart
    FROM alike_bills
    SEMI JOIN suspects ON alike_bills.own_text = suspects.own_text
),

days AS (
    SELECT
        alike_by,
        patient,
        day,
        apart,
        coalesce(day - lag(day) OVER (PARTITION BY alike_by, patient ORDER BY day) > 60, TRUE) AS begins
    FROM alikes
    GROUP BY alike_by, patient, day, apart
),

numbered AS (
    SELECT
        *,
        count(*) FILTER (begins) OVER (PARTITION BY alike_by, patient ORDER BY day) AS presence
    FROM days
),

presences AS (
    SELECT
        alike_by,
        min(day) AS first_day,
        max(day) AS last_day
    FROM numbered
    GROUP BY alike_by, patient, presence
),

patients AS (
    SELECT
        alike_by,
        patient,
        any_value(apart) AS apart,
        min(day) AS first_day,
        max(day) AS last_day
    FROM days
    GROUP BY alike_by, patient
),

events AS (
    SELECT
        alike_by,
        first_day - 30 AS day,
        1 AS near,
        0 AS far
    FROM presences
    UNION ALL
    SELECT
        alike_by,
        last_day + 31 AS day,
        -1 AS near,
        0 AS far
    FROM presences
    UNION ALL
    SELECT
        alike_by,
        -1000000 AS day,
        0 AS near,
        1 AS far
    FROM patients
    UNION ALL -- not far while all of the patient's days are within reach
    SELECT
        alike_by,
        last_day - apart AS day,
        0 AS near,
        -1 AS far
    FROM patients
    WHERE first_day + apart >= last_day - apart
    UNION ALL
    SELECT
        alike_by,
        first_day + apart + 1 AS day,
        0 AS near,
        1 AS far
    FROM patients
    WHERE first_day + apart >= last_day - apart
),

by_day AS (
    SELECT
        alike_by,
        day,
        sum(near) AS near,
        sum(far) AS far
    FROM events
    GROUP BY alike_by, day
),

running AS (
    SELECT
        alike_by,
        day,
        sum(near) OVER so_far AS near,
        sum(far) OVER so_far AS far
    FROM by_day
    WINDOW so_far AS (PARTITION BY alike_by ORDER BY day)
),

-- The patient is near himself, and may be far.
counted AS (
    SELECT
        suspects.*,
        by_bill.near - 1 AS near_patients,
        by_text.near - by_bill.near AS near_at_other_amounts,
        by_bill.far - (
            of_bill.first_day < suspects.day - suspects.apart OR of_bill.last_day > suspects.day + suspects.apart
        )::INTEGER AS far_patients,
        by_text.far - (
            of_text.first_day < suspects.day - suspects.apart OR of_text.last_day > suspects.day + suspects.apart
        )::INTEGER AS far_with_text
    FROM suspects
    INNER JOIN patients AS of_bill ON suspects.bill = of_bill.alike_by AND suspects.patient = of_bill.patient
    INNER JOIN patients AS of_text ON suspects.own_text = of_text.alike_by AND suspects.patient = of_text.patient
    ASOF JOIN running AS by_bill ON suspects.bill = by_bill.alike_by AND suspects.day >= by_bill.day
    ASOF JOIN running AS by_text ON suspects.own_text = by_text.alike_by AND suspects.day >= by_text.day
    WHERE by_bill.near > 1
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
        bill,
        patient,
        unnest(near_claims) AS near
    FROM named
),

others AS (
    SELECT
        pairs.claim_id,
        pairs.bill,
        min(pairs.near.claim_id) AS other
    FROM pairs
    WHERE pairs.near.patient <> pairs.patient
    GROUP BY pairs.claim_id, pairs.bill, pairs.near.patient
),

first_others AS (
    SELECT
        claim_id,
        bill,
        min(other, 4) AS clone_of
    FROM others
    GROUP BY claim_id, bill
),

told AS (
    SELECT
        named.claim_id,
        named.by_amount,
        first_others.clone_of,
        named.near_patients::INTEGER AS clone_count,
        greatest(
            named.expected_a_day * named.near_days,
            if(
                named.far_days > named.least_far_days,
                greatest(
                    named.far_patients * named.near_days / named.far_days,
                    named.far_with_text * named.near_days / named.far_days - named.near_at_other_amounts
                ),
                0
            )
        ) AS clone_expected,
        if(
            clone_count > clone_expected,
            named.weight
            * (
                clone_count * ln(clone_count / clone_expected)
                - (clone_count + 10) * ln((clone_count + 10) / (clone_expected + 10))
            ),
            0
        ) AS clone_deviance
    FROM named
    INNER JOIN first_others ON named.claim_id = first_others.claim_id AND named.bill = first_others.bill
)

SELECT
    claim_id,
    by_amount AS clone_by_amount,
    clone_count,
    clone_of,
    clone_expected,
    clone_deviance
FROM told
QUALIFY row_number() OVER (PARTITION BY claim_id ORDER BY clone_deviance DESC, by_amount ASC) = 1
