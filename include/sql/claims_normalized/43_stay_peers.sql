-- How short a stay is among its peers: how many of them are at most as long, and their share by mid-rank.
-- Grain: one row per INA-CBG, discharge status and LOS of inpatient claims. Peers have the same INA-CBG (severity
-- included) and left in the same way, as who dies or is referred leaves early; where those are fewer than
-- 2 x min_peers, the same INA-CBG; where those are, the same case-mix group, case type and severity; these, too, left
-- as most do (usual_exit: the commonest discharge status) or all otherwise.
CREATE OR REPLACE TABLE stay_peers AS
WITH usual AS (
    SELECT stays.discharge_status
    FROM care AS stays
    WHERE stays.service_type = 'RITL'
    GROUP BY stays.discharge_status
    ORDER BY count(*) DESC, stays.discharge_status ASC
    LIMIT 1
),

counted AS (
    SELECT
        care.inacbg_code,
        care.inacbg_group,
        care.severity_group,
        care.discharge_status,
        care.los,
        (care.discharge_status IS NOT DISTINCT FROM usual.discharge_status) AS usual_exit,
        count(*) AS claims
    FROM care
    CROSS JOIN usual
    WHERE care.service_type = 'RITL'
    GROUP BY ALL
),

ranked AS (
    SELECT
        *,
        sum(claims) OVER same_exit AS exit_n,
        sum(claims) OVER (same_exit ORDER BY los) AS exit_up_to,
        sum(claims) OVER same_code AS code_n,
        sum(claims) OVER (same_code ORDER BY los) AS code_up_to,
        sum(claims) OVER (same_code ORDER BY los RANGE BETWEEN CURRENT ROW AND CURRENT ROW) AS code_alike,
        sum(claims) OVER same_group AS group_n,
        sum(claims) OVER (same_group ORDER BY los) AS group_up_to,
        sum(claims) OVER (same_group ORDER BY los RANGE BETWEEN CURRENT ROW AND CURRENT ROW) AS group_alike
    FROM counted
    WINDOW
        same_exit AS (PARTITION BY inacbg_code, discharge_status),
        same_code AS (PARTITION BY inacbg_code, usual_exit),
        same_group AS (PARTITION BY inacbg_group, severity_group, usual_exit)
),

chosen AS (
    SELECT
        ranked.*,
        CASE
            WHEN ranked.exit_n >= 2 * limits.min_peers THEN 1
            WHEN ranked.code_n >= 2 * limits.min_peers THEN 2
            ELSE 3
        END::TINYINT AS stay_level
    FROM ranked
    CROSS JOIN run_parameters AS limits
)

SELECT
    inacbg_code,
    discharge_status,
    los,
    usual_exit,
    stay_level,
    [exit_n, code_n, group_n][stay_level]::INTEGER AS stay_n,
    [exit_up_to, code_up_to, group_up_to][stay_level]::INTEGER AS stay_as_short,
    CASE stay_level
        WHEN 1 THEN (exit_up_to - claims / 2) / exit_n
        WHEN 2 THEN (code_up_to - code_alike / 2) / code_n
        ELSE (group_up_to - group_alike / 2) / group_n
    END::DOUBLE AS los_share_low
FROM chosen
