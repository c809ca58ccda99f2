-- Claims, mean risk score and share of flagged claims in each release, by province and by severity.
SELECT
    province_name,
    severity_group,
    count(*) FILTER (in_a) AS claims_a,
    count(*) FILTER (in_b) AS claims_b,
    avg(risk_score_a) AS mean_risk_score_a,
    avg(risk_score_b) AS mean_risk_score_b,
    avg(flagged_a::INT) FILTER (in_a) AS flagged_share_a,
    avg(flagged_b::INT) FILTER (in_b) AS flagged_share_b
FROM pairs
GROUP BY GROUPING SETS ((province_name), (severity_group));
