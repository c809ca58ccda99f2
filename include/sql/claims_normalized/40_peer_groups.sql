-- Cost statistics of every peer group, from the narrowest kind (level 1) to the widest (level 7), rupiah.
-- Grain: one row per level and group. Level 1 is RULESET_v1's peer group. A group of fewer than min_peers claims is
-- left out, so that its claims fall to the next wider one: in a group of two the dearer claim always has z = 1. One of
-- level 1 is kept as level 0, for RULESET_v1 alone.
-- Sums are exact (HUGEINT) and quantiles are exact, so that the same claims give the same statistics bit for bit in
-- whatever order threads meet them; avg() of DOUBLE, stddev_pop() and approx_quantile() do not.
CREATE OR REPLACE TABLE peer_groups AS
WITH measured AS (
    SELECT
        grouping(
            facility_class, province_name, primary_diagnosis, primary_diagnosis_group, inacbg_code, inacbg_group
        ) AS shape,
        severity_group,
        facility_class,
        province_name,
        primary_diagnosis,
        primary_diagnosis_group,
        inacbg_code,
        inacbg_group,
        count(*)::INTEGER AS peer_n,
        sum(amount_claimed) AS total,
        sum(amount_claimed::HUGEINT * amount_claimed) AS total_of_squares,
        quantile_cont(amount_claimed, 0.9) AS peer_p90
    FROM known_visits
    GROUP BY GROUPING SETS (
        (severity_group, primary_diagnosis, facility_class, province_name),
        (severity_group, primary_diagnosis, facility_class),
        (severity_group, primary_diagnosis),
        (severity_group, primary_diagnosis_group),
        (severity_group, inacbg_code),
        (severity_group, inacbg_group),
        (severity_group)
    )
),

leveled AS (
    SELECT
        *,
        -- grouping() has one bit a column, 1 where the level ignores it, the first column in the highest bit:
        -- 000111, 010111, 110111, 111011, 111101, 111110, 111111.
        CASE shape
            WHEN 7 THEN 1
            WHEN 23 THEN 2
            WHEN 55 THEN 3
            WHEN 59 THEN 4
            WHEN 61 THEN 5
            WHEN 62 THEN 6
            WHEN 63 THEN 7
        END::TINYINT AS peer_level
    FROM measured
)

SELECT
    if(leveled.peer_level = 1 AND leveled.peer_n < run_parameters.min_peers, 0, leveled.peer_level)::TINYINT
        AS peer_level,
    leveled.severity_group,
    leveled.facility_class,
    leveled.province_name,
    leveled.primary_diagnosis,
    leveled.primary_diagnosis_group,
    leveled.inacbg_code,
    leveled.inacbg_group,
    leveled.peer_n,
    leveled.total / leveled.peer_n AS peer_mean,
    leveled.peer_p90,
    sqrt(
        (leveled.peer_n * leveled.total_of_squares - leveled.total * leveled.total)
        / (leveled.peer_n::DOUBLE * leveled.peer_n)
    ) AS peer_std
FROM leveled
CROSS JOIN run_parameters
WHERE leveled.peer_n >= run_parameters.min_peers OR leveled.peer_level IN (1, 7)
