-- The usual price of what was billed: median and spread (1.4826 x MAD) of ln(price) among peers.
-- Grain: one row per service type, INA-CBG, facility class, ward class and tariff region. Peers, from the narrowest:
--   1 same INA-CBG, facility class, ward class and tariff region
--   2 same INA-CBG, 3 same case-mix group, case type and severity, 4 same severity; each after taking off what class,
--     ward and region add (price_levels), which is put back at the end
-- Levels 1 to 3 count from min_peers claims of at least 3 facilities on: a hospital is not its own peer.
-- ln_misfit: at level 2, how far a class's groups of level 1 remain from their INA-CBGs after that (1.4826 x the median
-- distance; of all classes where it has fewer than 5 such groups). What a class adds differs by INA-CBG, and of a class
-- with few hospitals no other one tells by how much (docs/adr/0039); so here groups of 10 claims count, of however few
-- facilities.
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
        1.4826 * mad(ln_price - ln_effect) AS ln_spread,
        price_level = 4
        OR (
            price_n >= (SELECT limits.min_peers FROM run_parameters AS limits)
            AND count(DISTINCT facility_key) >= 3
        ) AS is_enough
    FROM leveled
    GROUP BY
        GROUPING SETS (
            (severity_group, inacbg_code, facility_class, ward_class, tariff_region),
            (severity_group, inacbg_code),
            (severity_group, inacbg_group),
            (severity_group)
        )
    HAVING is_enough OR (price_level = 1 AND price_n >= 10) -- the latter for ln_misfit alone
),

misfits AS (
    SELECT
        narrow.facility_class,
        grouping(narrow.facility_class) = 1 AS of_all_classes,
        1.4826 * median(abs(narrow.ln_middle - wide.ln_middle)) AS ln_misfit
    FROM measured AS narrow
    INNER JOIN measured AS wide ON narrow.inacbg_code = wide.inacbg_code
    WHERE narrow.price_level = 1 AND narrow.price_n >= 10 AND wide.price_level = 2
    GROUP BY GROUPING SETS ((narrow.facility_class), ())
    HAVING of_all_classes OR count(*) >= 5
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
    coalesce(level_1.ln_spread, level_2.ln_spread, level_3.ln_spread, level_4.ln_spread) AS ln_spread,
    CASE
        WHEN level_1.price_level IS NULL AND level_2.price_level IS NOT NULL
            THEN coalesce(of_class.ln_misfit, of_all.ln_misfit, 0)
        ELSE 0
    END AS ln_misfit
FROM wanted
LEFT JOIN measured AS level_1
    ON
        level_1.price_level = 1
        AND level_1.is_enough
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
LEFT JOIN misfits AS of_class ON wanted.facility_class = of_class.facility_class AND NOT of_class.of_all_classes
LEFT JOIN misfits AS of_all ON of_all.of_all_classes
