-- Claims, mean risk score and share of flagged claims in each release, by province and by severity. A claim counts
-- where each release has it: one whose severity was revised leaves the one group and comes into the other.
WITH rated AS (
    SELECT
        'a' AS side,
        risk_score,
        coalesce(len(flags), 0) > 0 AS flagged,
        coalesce(province_name, '(unknown)') AS province_name,
        coalesce(severity_group, '(unknown)') AS severity_group
    FROM side_a
    UNION ALL
    SELECT
        'b' AS side,
        risk_score,
        coalesce(len(flags), 0) > 0 AS flagged,
        coalesce(province_name, '(unknown)') AS province_name,
        coalesce(severity_group, '(unknown)') AS severity_group
    FROM side_b
)

SELECT
    province_name,
    severity_group,
    count(*) FILTER (side = 'a') AS claims_a,
    count(*) FILTER (side = 'b') AS claims_b,
    avg(risk_score) FILTER (side = 'a') AS mean_risk_score_a,
    avg(risk_score) FILTER (side = 'b') AS mean_risk_score_b,
    avg(flagged::INT) FILTER (side = 'a') AS flagged_share_a,
    avg(flagged::INT) FILTER (side = 'b') AS flagged_share_b
FROM rated
GROUP BY GROUPING SETS ((province_name), (severity_group));
