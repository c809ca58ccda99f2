-- The usual price of what was billed: median and spread (1.4826 x MAD) of ln(price) among peers.
-- Grain: one row per service type, INA-CBG, facility class, ward class and tariff region. Peers, from the narrowest:
--   1 same INA-CBG, facility class, ward class and tariff region
--   2 same INA-CBG, 3 same case-mix group, case type and severity, 4 same severity; each after taking off what class,
--     ward and region add (price_levels), which is put back at the end
-- Levels 1 to 3 count from min_peers claims of at least 3 facilities on: a hospital is not its own peer.
CREATE OR REPLACE TABLE price_peers AS
WITH leveled AS (
    SELECT
        care.*,
        price_levels.ln_effect
    FROM care
    INNER JOIN price_levels
        ON
            care.service_type = price_levels.service_type
            AND care.facility_class = price_levels.facility_class
            AND care.ward_class IS NOT DISTINCT FROM price_levels.ward_class
            AND care.tariff_region IS NOT DISTINCT FROM price_levels.tariff_region
),

measured AS (
    SELECT
        -- One bit a column, the first in the highest, 1 where it is ignored.
        CASE grouping(facility_class, ward_class, tariff_region, inacbg_code, inacbg_group)
            WHEN 1 THEN 1
            WHEN 29 THEN 2
            WHEN 30 THEN 3
            ELSE 4
        END::TINYINT AS price_level,
        severity_group,
        inacbg_group,
        inacbg_code,
        facility_class,
        ward_class,
        tariff_region,
        count(*)::INTEGER AS price_n,
        median(ln_price - ln_effect) AS ln_middle,
        1.4826 * mad(ln_price - ln_effect) AS ln_spread
    FROM leveled
    GROUP BY
        GROUPING SETS (
            (severity_group, inacbg_code, facility_class, ward_class, tariff_region),
            (severity_group, inacbg_code),
            (severity_group, inacbg_group),
            (severity_group)
        )
    HAVING
        price_level = 4
        OR (
            count(*) >= (SELECT limits.min_peers FROM run_parameters AS limits)
            AND count(DISTINCT facility_key) >= 3
        )
),

wanted AS (
    SELECT DISTINCT
        service_type,
        severity_group,
        inacbg_group,
        inacbg_code,
        facility_class,
        ward_class,
        tariff_region,
        ln_effect
    FROM leveled
)

SELECT
    wanted.service_type,
    wanted.severity_group,
    wanted.inacbg_code,
    wanted.facility_class,
    wanted.ward_class,
    wanted.tariff_region,
    coalesce(level_1.price_level, level_2.price_level, level_3.price_level, level_4.price_level) AS price_level,
    coalesce(level_1.price_n, level_2.price_n, level_3.price_n, level_4.price_n) AS price_n,
    coalesce(level_1.ln_middle, level_2.ln_middle, level_3.ln_middle, level_4.ln_middle)
    + wanted.ln_effect AS ln_middle,
    coalesce(level_1.ln_spread, level_2.ln_spread, level_3.ln_spread, level_4.ln_spread) AS ln_spread
FROM wanted
LEFT JOIN measured AS level_1
    ON
        level_1.price_level = 1
        AND wanted.inacbg_code = level_1.inacbg_code
        AND wanted.facility_class = level_1.facility_class
        AND wanted.ward_class IS NOT DISTINCT FROM level_1.ward_class
        AND wanted.tariff_region IS NOT DISTINCT FROM level_1.tariff_region
LEFT JOIN measured AS level_2 ON level_2.price_level = 2 AND wanted.inacbg_code = level_2.inacbg_code
LEFT JOIN measured AS level_3
    ON
        level_3.price_level = 3
        AND wanted.severity_group = level_3.severity_group
        AND wanted.inacbg_group = level_3.inacbg_group
LEFT JOIN measured AS level_4 ON level_4.price_level = 4 AND wanted.severity_group = level_4.severity_group
