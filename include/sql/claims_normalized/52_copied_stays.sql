-- Copied stays: stays coded exactly as another patient's at the facility (INA-CBG, admission, primary and secondary
-- diagnoses, procedures), where hardly anybody elsewhere is coded so: whoever bills a stay that never was takes the
-- record of one that was, at any time of the year, which is no burst (52_clones.sql). Newborns are all alike.
-- Grain: one row per such stay. copy_count: other patients of the facility with that coding; copy_of: the claim ids of
-- the first three; copy_elsewhere of copy_n patients elsewhere with that INA-CBG and primary diagnosis have it;
-- copy_expected: how many of the facility's others with both would have it by chance, as if half a patient of ten more
-- elsewhere had it.
-- copy_share: of other facilities' stays those with as large a Poisson deviance of copy_count (of three at most, as a
-- coder may have a fixed text) above copy_expected, as if one of ten more had; below 1 in 20.
-- copy_weight (0..1): as far as such stays are no chance, in full where a third as many would deviate as much by
-- chance, not at all from 0.85 times as many on. And in full up to half of the facility's stays that can be copies,
-- those with an INA-CBG and diagnosis that another patient has there, not at all from seven tenths on: there a coder
-- has fixed texts (docs/adr/0051).
-- Only where that says more than its being a clone does.
CREATE OR REPLACE TABLE copied_stays AS
WITH stays AS (
    SELECT
        claim_id,
        facility_key,
        patient_key,
        hash(inacbg_code, primary_diagnosis) AS treated,
        hash(care_digest, admission_diagnosis) AS coding
    FROM care
    WHERE service_type = 'RITL' AND NOT starts_with(inacbg_code, 'P-')
),

of_patients AS (
    SELECT
        facility_key,
        coding,
        patient_key,
        any_value(treated) AS treated, -- both are in care_digest
        count(*) AS claims,
        min(claim_id) AS claim_id
    FROM stays
    GROUP BY facility_key, coding, patient_key
),

own AS (
    SELECT
        facility_key,
        coding,
        any_value(treated) AS treated,
        sum(claims) AS claims,
        count(*) AS patients
    FROM of_patients
    GROUP BY facility_key, coding
),

counted AS (
    SELECT
        *,
        sum(patients) OVER (PARTITION BY coding) - patients AS elsewhere,
        sum(patients) OVER (PARTITION BY treated, facility_key) AS treated_here,
        sum(patients) OVER (PARTITION BY treated) - treated_here AS treated_elsewhere
    FROM own
),

expecting AS (
    SELECT
        *,
        (treated_here - 1) * (elsewhere + 0.5) / (treated_elsewhere + 10) AS expected
    FROM counted
),

by_expectation AS (
    SELECT
        expected,
        sum(claims) AS claims
    FROM expecting
    WHERE treated_here > 1
    GROUP BY expected
),

-- What there is (seen), and what there would be by chance, in millionths: one, two, and three or more others.
events AS (
    SELECT
        * EXCLUDE (claims),
        least(patients - 1, 3) AS others,
        claims AS seen,
        0::BIGINT AS by_chance
    FROM expecting
    UNION ALL BY NAME
    SELECT
        by_expectation.expected,
        may_be.others,
        0 AS seen,
        (
            1e6 * by_expectation.claims
            * if(
                may_be.others = 3,
                1 - exp(-by_expectation.expected) * (1 + by_expectation.expected + by_expectation.expected ^ 2 / 2),
                exp(-by_expectation.expected) * by_expectation.expected ^ may_be.others / may_be.others
            )
        )::BIGINT AS by_chance
    FROM by_expectation
    CROSS JOIN (VALUES (1), (2), (3)) AS may_be (others)
),

ranked AS (
    SELECT
        *,
        if(others > expected, others * ln(others / expected) - (others - expected), 0) AS deviance,
        (sum(seen) OVER as_odd - sum(seen) OVER as_odd_here + 1)
        / (sum(seen) OVER () - sum(seen) OVER here + 10) AS share,
        (sum(by_chance) OVER as_odd / 1e6 + 0.5) / (sum(seen) OVER as_odd + 0.5) AS chance,
        seen > 0 AND deviance > 0 AND share < 0.05 AS odd
    FROM events
    WINDOW
        as_odd AS (ORDER BY deviance DESC),
        as_odd_here AS (PARTITION BY facility_key ORDER BY deviance DESC),
        here AS (PARTITION BY facility_key)
),

weighed AS (
    SELECT
        *,
        (sum(seen) FILTER (odd) OVER here) / (sum(seen) FILTER (treated_here > 1) OVER here) AS own_share,
        least(greatest(1.7 - 2 * chance, 0), 1) * least(greatest(3.5 - 5 * own_share, 0), 1) AS weight
    FROM ranked
    WINDOW here AS (PARTITION BY facility_key)
    QUALIFY odd
),

named AS (
    SELECT
        of_patients.facility_key,
        of_patients.coding,
        min({ 'claim_id': of_patients.claim_id, 'patient_key': of_patients.patient_key }, 4) AS first_claims
    FROM of_patients
    SEMI JOIN weighed ON of_patients.facility_key = weighed.facility_key AND of_patients.coding = weighed.coding
    GROUP BY of_patients.facility_key, of_patients.coding
),

copied AS (
    SELECT
        stays.claim_id,
        stays.patient_key,
        named.first_claims,
        (weighed.patients - 1)::INTEGER AS copy_count,
        weighed.elsewhere::INTEGER AS copy_elsewhere,
        weighed.treated_elsewhere::INTEGER AS copy_n,
        weighed.expected AS copy_expected,
        weighed.share AS copy_share,
        weighed.weight AS copy_weight
    FROM stays
    INNER JOIN weighed ON stays.facility_key = weighed.facility_key AND stays.coding = weighed.coding
    INNER JOIN named ON stays.facility_key = named.facility_key AND stays.coding = named.coding
    LEFT JOIN clones ON stays.claim_id = clones.claim_id
    WHERE -weighed.weight * ln(weighed.share) > coalesce(clones.clone_deviance, 0)
)

SELECT
    * EXCLUDE (patient_key, first_claims),
    list_transform(
        list_filter(first_claims, LAMBDA other: struct_extract(other, 'patient_key') <> patient_key)[1:3], -- noqa: RF02
        LAMBDA other: struct_extract(other, 'claim_id') -- noqa: RF02
    ) AS copy_of
FROM copied
