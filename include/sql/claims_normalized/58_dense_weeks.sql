-- Dense weeks join the repeats: more visits of an outpatient to one facility within seven days than others have, as
-- where sessions of physiotherapy or dialysis are added to a course that is real.
-- Grain: one row per such claim. 75_channels.sql takes what says more, the week or the repeat (50_repeats.sql).
-- week_visits: the most visits of the patient to the facility with the claim's INA-CBG (without severity) in any seven
-- days that hold the claim, itself among them, 3 or more; week_share: the share of other facilities' visits with it
-- that lie in a week as full, drawn towards that of all visits by as much as 200, and below 1 in 20; week_alike of
-- week_n visits with it do, the facility's among them. Where others have fewer than 100 visits with it there are no
-- peers: whoever alone gives a daily treatment packs no weeks.
-- week_evidence, in nats: six tenths of what the share says. Which of the week's visits is too many it cannot tell, and
-- some facilities pack courses honestly (docs/adr/0022); so a facility's weeks add nothing to its habits either.
CREATE OR REPLACE TABLE dense_weeks AS
WITH visits AS (
    SELECT
        claim_id,
        facility_key,
        inacbg_base,
        hash(patient_key, facility_key, inacbg_base) AS course,
        admission_date - DATE '2000-01-01' AS day
    FROM persons
    WHERE service_type = 'RJTL'
),

courses AS (
    SELECT course
    FROM visits
    GROUP BY course
    HAVING count(*) >= 3
),

weeks AS (
    SELECT
        visits.*,
        count(*) OVER (
            PARTITION BY visits.course ORDER BY visits.day RANGE BETWEEN 6 PRECEDING AND CURRENT ROW
        ) AS until
    FROM visits
    SEMI JOIN courses ON visits.course = courses.course
),

fullest AS (
    SELECT
        claim_id,
        facility_key,
        inacbg_base,
        max(until) OVER (PARTITION BY course ORDER BY day RANGE BETWEEN CURRENT ROW AND 6 FOLLOWING) AS visits
    FROM weeks
    QUALIFY visits >= 3
),

as_full AS (
    SELECT
        facility_key,
        inacbg_base,
        visits,
        sum(count(*)) OVER (PARTITION BY facility_key, inacbg_base ORDER BY visits DESC) AS here,
        sum(count(*)) OVER (PARTITION BY inacbg_base ORDER BY visits DESC) AS alike,
        sum(count(*)) OVER (ORDER BY visits DESC) AS overall
    FROM fullest
    GROUP BY facility_key, inacbg_base, visits
),

by_case AS (
    SELECT
        facility_key,
        inacbg_base,
        count(*) AS here,
        sum(count(*)) OVER (PARTITION BY inacbg_base) AS n,
        sum(count(*)) OVER () AS overall
    FROM visits
    GROUP BY facility_key, inacbg_base
)

SELECT
    fullest.claim_id,
    fullest.visits::INTEGER AS week_visits,
    as_full.alike::INTEGER AS week_alike,
    by_case.n::INTEGER AS week_n,
    (as_full.alike - as_full.here + 200 * as_full.overall / by_case.overall) / (by_case.n - by_case.here + 200)
        AS week_share,
    -0.6 * ln(week_share) AS week_evidence
FROM fullest
INNER JOIN as_full
    ON
        fullest.facility_key = as_full.facility_key
        AND fullest.inacbg_base = as_full.inacbg_base
        AND fullest.visits = as_full.visits
INNER JOIN by_case ON fullest.facility_key = by_case.facility_key AND fullest.inacbg_base = by_case.inacbg_base
WHERE week_share < 0.05 AND by_case.n - by_case.here >= 100
