-- What a severity can be counted against: the stays of the same INA-CBG but for its severity that are at most as long
-- and have at most as many secondary diagnoses, and how many of them are at least as severe; for the reasons, as
-- severity_share (44_severity_peers.sql) is a probability that nobody can count. Also whatever their length.
-- Grain: one row per INA-CBG without severity, number of secondary diagnoses, LOS of inpatient claims.
CREATE OR REPLACE TABLE severity_counts AS
WITH counted AS (
    SELECT
        inacbg_base,
        comorbidity_count,
        los,
        count(*) AS stays,
        count(*) FILTER (severity_level >= 2) AS from_2,
        count(*) FILTER (severity_level = 3) AS from_3
    FROM care
    WHERE service_type = 'RITL' AND severity_level BETWEEN 1 AND 3
    GROUP BY inacbg_base, comorbidity_count, los
),

by_comorbidity AS (
    SELECT DISTINCT
        inacbg_base,
        comorbidity_count
    FROM counted
),

as_many AS (
    SELECT
        counted.inacbg_base,
        by_comorbidity.comorbidity_count,
        counted.los,
        sum(counted.stays)::INTEGER AS stays,
        sum(counted.from_2)::INTEGER AS from_2,
        sum(counted.from_3)::INTEGER AS from_3
    FROM counted
    INNER JOIN by_comorbidity
        ON
            counted.inacbg_base = by_comorbidity.inacbg_base
            AND counted.comorbidity_count <= by_comorbidity.comorbidity_count
    GROUP BY counted.inacbg_base, by_comorbidity.comorbidity_count, counted.los
)

SELECT
    inacbg_base,
    comorbidity_count,
    los,
    sum(stays) OVER as_long AS stays,
    sum(from_2) OVER as_long AS from_2,
    sum(from_3) OVER as_long AS from_3,
    sum(stays) OVER any_stay AS stays_any_stay,
    sum(from_2) OVER any_stay AS from_2_any_stay,
    sum(from_3) OVER any_stay AS from_3_any_stay
FROM as_many
WINDOW
    any_stay AS (PARTITION BY inacbg_base, comorbidity_count),
    as_long AS (any_stay ORDER BY los)
