-- Dense weeks join the repeats: more visits of an outpatient to one facility within seven days than others have, as
-- where sessions of physiotherapy or dialysis are added to a course that is real.
-- Grain: one row per such claim. 75_channels.sql takes what says more, the week or the repeat (50_repeats.sql).
-- week_visits: the most visits of the patient to the facility with the claim's INA-CBG (without severity) in any seven
-- days that hold the claim, itself among them, 3 or more; week_of: the claim ids of the others in those days (of
-- several such weeks the last), the first six; week_share: the share of other facilities' visits with it that lie in a
-- week as full, drawn towards that of all visits by as much as 200, and below 1 in 20; week_alike of
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
        weeks.claim_id,
        weeks.facility_key,
        weeks.inacbg_base,
        weeks.course,
        max(weeks.until) OVER seven_days AS visits,
        arg_max(weeks.day, (weeks.until, weeks.day)) OVER seven_days AS last_day
    FROM weeks
    WINDOW
        seven_days AS (
            PARTITION BY weeks.course ORDER BY weeks.day RANGE BETWEEN CURRENT ROW AND 6 FOLLOWING
        )
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
),

dense AS (
    SELECT
        fullest.claim_id,
        fullest.course,
        fullest.visits,
        fullest.last_day,
        as_full.alike,
        by_case.n,
        (as_full.alike - as_full.here + 200 * as_full.overall / by_case.overall) / (by_case.n - by_case.here + 200)
            AS share
    FROM fullest
    INNER JOIN as_full
        ON
            fullest.facility_key = as_full.facility_key
            AND fullest.inacbg_base = as_full.inacbg_base
            AND fullest.visits = as_full.visits
    INNER JOIN by_case ON fullest.facility_key = by_case.facility_key AND fullest.inacbg_base = by_case.inacbg_base
    WHERE share < 0.05 AND by_case.n - by_case.here >= 100
),

-- Once a week and not once a claim: of a number that many share, a week may hold thousands.
dense_days AS (
    SELECT
        course,
        last_day
    FROM dense
    GROUP BY course, last_day
),

first_visits AS (
    SELECT
        dense_days.course,
        dense_days.last_day,
        min({ 'day': weeks.day, 'claim_id': weeks.claim_id }, 7) AS visits
    FROM dense_days
    INNER JOIN weeks
        ON
            dense_days.course = weeks.course
            AND dense_days.last_day - 6 <= weeks.day
            AND dense_days.last_day >= weeks.day
    GROUP BY dense_days.course, dense_days.last_day
),

named AS (
    SELECT
        course,
        last_day,
        list_transform(visits, LAMBDA visit: struct_extract(visit, 'claim_id')) AS claim_ids
    FROM first_visits
)

SELECT
    dense.claim_id,
    dense.visits::INTEGER AS week_visits,
    list_filter(named.claim_ids, LAMBDA other: other <> dense.claim_id)[1:6] AS week_of, -- noqa: RF02
    dense.alike::INTEGER AS week_alike,
    dense.n::INTEGER AS week_n,
    dense.share AS week_share,
    -0.6 * ln(dense.share) AS week_evidence
FROM dense
INNER JOIN named ON dense.course = named.course AND dense.last_day = named.last_day
