-- Visits on a day on which the facility sees nobody join the overlaps: such dates are made up, often several visits for
-- one, without a look at the calendar. Outpatients' visits on a day of the week on which, at other facilities, fewer
-- than 1 in 20 with their INA-CBG fall (polyclinics close on Sundays). Only where the facility has such visits on two
-- dates or more (one may be a campaign), sees anybody on a quarter as many dates as on its busiest day of the week, or
-- fewer (else it is open), and has at least twice as many as its case mix would bring, both drawn towards each other by
-- 2; so none of whom comes to less than eight weeks.
-- Grain and columns: as in 54_overlapping.sql, with overlap_weekday, 1 (Monday) to 7 (Sunday), and without another
-- claim (overlap_of, overlap_day, overlap_los and overlap_elsewhere are NULL).
-- overlap_share: the share of other facilities' visits with that INA-CBG (without severity) that fall on that day of
-- the week, drawn towards that of all visits by as much as 200 (a few dialysis patients come on their days, which is
-- no closing day); overlap_alike of overlap_n visits with it, the facility's among them, are such ones.
INSERT INTO overlapping BY NAME
WITH visits AS (
    SELECT
        claim_id,
        facility_key,
        inacbg_base,
        admission_date,
        isodow(admission_date)::INTEGER AS weekday
    FROM care
    WHERE service_type = 'RJTL'
),

own_on_day AS (
    SELECT
        facility_key,
        inacbg_base,
        weekday,
        count(*) AS visits
    FROM visits
    GROUP BY facility_key, inacbg_base, weekday
),

own AS (
    SELECT
        facility_key,
        inacbg_base,
        sum(visits)::BIGINT AS visits
    FROM own_on_day
    GROUP BY facility_key, inacbg_base
),

anywhere_on_day AS (
    SELECT
        inacbg_base,
        weekday,
        sum(visits)::BIGINT AS visits
    FROM own_on_day
    GROUP BY inacbg_base, weekday
),

anywhere AS (
    SELECT
        inacbg_base,
        sum(visits)::BIGINT AS visits
    FROM own
    GROUP BY inacbg_base
),

weekdays AS (
    SELECT
        weekday,
        count(*) / sum(count(*)) OVER () AS share
    FROM visits
    GROUP BY weekday
),

dates AS (
    SELECT
        facility_key,
        weekday,
        count(DISTINCT admission_date) AS seen,
        max(count(DISTINCT admission_date)) OVER (PARTITION BY facility_key) AS most_seen
    FROM visits
    GROUP BY facility_key, weekday
),

compared AS (
    SELECT
        own.facility_key,
        own.inacbg_base,
        weekdays.weekday,
        coalesce(own_on_day.visits, 0) AS on_day,
        own.visits,
        anywhere_on_day.visits AS alike,
        anywhere.visits AS n,
        (alike - on_day + 200 * weekdays.share) / (n - own.visits + 200) AS share
    FROM own
    INNER JOIN anywhere ON own.inacbg_base = anywhere.inacbg_base
    INNER JOIN anywhere_on_day ON own.inacbg_base = anywhere_on_day.inacbg_base
    INNER JOIN weekdays ON anywhere_on_day.weekday = weekdays.weekday
    LEFT JOIN own_on_day
        ON
            own.facility_key = own_on_day.facility_key
            AND own.inacbg_base = own_on_day.inacbg_base
            AND weekdays.weekday = own_on_day.weekday
),

rare AS (
    SELECT
        *,
        sum(on_day) OVER here AS observed,
        -- In millionths, as sums of whole numbers do not depend on the order in which threads add them.
        sum((1e6 * visits * share)::BIGINT) OVER here / 1e6 AS expected
    FROM compared
    WHERE share < 0.05
    WINDOW here AS (PARTITION BY facility_key, weekday)
),

odd AS (
    SELECT
        visits.claim_id,
        rare.*,
        count(DISTINCT visits.admission_date) OVER (PARTITION BY rare.facility_key, rare.weekday) AS own_dates
    FROM visits
    INNER JOIN rare
        ON
            visits.facility_key = rare.facility_key
            AND visits.inacbg_base = rare.inacbg_base
            AND visits.weekday = rare.weekday
    WHERE rare.observed + 2 >= 2 * (rare.expected + 2)
)

SELECT
    odd.claim_id,
    FALSE AS overlap_visit,
    FALSE AS overlap_died,
    odd.weekday AS overlap_weekday,
    1 AS overlap_weight,
    odd.alike::INTEGER AS overlap_alike,
    odd.n::INTEGER AS overlap_n,
    odd.share AS overlap_share
FROM odd
INNER JOIN dates ON odd.facility_key = dates.facility_key AND odd.weekday = dates.weekday
ANTI JOIN overlapping ON odd.claim_id = overlapping.claim_id
WHERE odd.own_dates >= 2 AND 4 * dates.seen <= dates.most_seen
