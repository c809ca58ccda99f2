-- How a severity fits the stay: the probability of at least this severity, given what the same diagnosis and
-- procedures bring elsewhere (the INA-CBG without its severity) and the length of the stay.
-- Grain: one row per INA-CBG without severity, severity and LOS of inpatient claims.
-- Bayes: P(severity | LOS) is proportional to P(severity) x P(LOS | severity). P(severity) is the share within the
-- INA-CBG, drawn towards that of all stays by as much as 20 claims; ln(LOS + 0.5) is taken for normal about its median
-- for that severity, drawn towards what the severity means in general by as much as 10 claims; 0.001 keeps outliers
-- from deciding. Severity raised on paper shows here: the stay stays as short as that of the light cases.
CREATE OR REPLACE TABLE severity_peers AS
WITH stays AS (
    SELECT
        inacbg_base,
        severity_level,
        los,
        ln(los + 0.5) AS ln_los
    FROM care
    WHERE service_type = 'RITL' AND severity_level BETWEEN 1 AND 3
),

bases AS (
    SELECT
        inacbg_base,
        count(*) AS base_n,
        median(ln_los) AS ln_middle
    FROM stays
    GROUP BY inacbg_base
),

by_level AS (
    SELECT
        inacbg_base,
        severity_level,
        count(*) AS level_n,
        median(ln_los) AS ln_middle
    FROM stays
    GROUP BY inacbg_base, severity_level
),

totals AS (
    SELECT count(*) AS every_stay
    FROM stays
),

levels AS (
    SELECT
        stays.severity_level,
        count(*) / any_value(totals.every_stay) AS share,
        median(stays.ln_los - bases.ln_middle) AS ln_step,
        greatest(1.4826 * mad(stays.ln_los - by_level.ln_middle), 0.3) AS ln_spread
    FROM stays
    CROSS JOIN totals
    INNER JOIN bases ON stays.inacbg_base = bases.inacbg_base
    INNER JOIN by_level
        ON stays.inacbg_base = by_level.inacbg_base AND stays.severity_level = by_level.severity_level
    GROUP BY stays.severity_level
),

expected AS (
    SELECT
        bases.inacbg_base,
        levels.severity_level,
        levels.ln_spread,
        (coalesce(by_level.level_n, 0) + 20 * levels.share) / (bases.base_n + 20) AS prior,
        (coalesce(by_level.level_n * by_level.ln_middle, 0) + 10 * (bases.ln_middle + levels.ln_step))
        / (coalesce(by_level.level_n, 0) + 10) AS ln_middle
    FROM bases
    CROSS JOIN levels
    LEFT JOIN by_level ON bases.inacbg_base = by_level.inacbg_base AND levels.severity_level = by_level.severity_level
),

seen AS (
    SELECT DISTINCT
        inacbg_base,
        los,
        ln_los
    FROM stays
),

weighed AS (
    SELECT
        seen.inacbg_base,
        seen.los,
        expected.severity_level,
        expected.prior,
        expected.prior
        * (exp(-(((seen.ln_los - expected.ln_middle) / expected.ln_spread) ** 2) / 2) / expected.ln_spread + 0.001)
            AS weight
    FROM seen
    INNER JOIN expected ON seen.inacbg_base = expected.inacbg_base
),

-- Pivoted, as the order in which three numbers are added must not be left to the threads.
pivoted AS (
    SELECT
        inacbg_base,
        los,
        coalesce(any_value(weight) FILTER (severity_level = 1), 0) AS weight_1,
        coalesce(any_value(weight) FILTER (severity_level = 2), 0) AS weight_2,
        coalesce(any_value(weight) FILTER (severity_level = 3), 0) AS weight_3,
        coalesce(any_value(prior) FILTER (severity_level = 2), 0)
        + 2 * coalesce(any_value(prior) FILTER (severity_level = 3), 0) AS severity_expected
    FROM weighed
    GROUP BY inacbg_base, los
)

SELECT
    pivoted.inacbg_base,
    pivoted.los,
    levels.severity_level,
    -- In steps above I: 0 for I, 1 for II, 2 for III.
    pivoted.severity_expected,
    CASE levels.severity_level
        WHEN 1 THEN 1.0
        WHEN 2 THEN (pivoted.weight_2 + pivoted.weight_3) / (pivoted.weight_1 + pivoted.weight_2 + pivoted.weight_3)
        ELSE pivoted.weight_3 / (pivoted.weight_1 + pivoted.weight_2 + pivoted.weight_3)
    END AS severity_share
FROM pivoted
CROSS JOIN levels
