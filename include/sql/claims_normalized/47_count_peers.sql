-- How many claims of the same INA-CBG (severity included) have at least as many secondary diagnoses, and procedures:
-- shares of them, by mid-rank. Grain: one row per INA-CBG, comorbidity count and procedure count.
CREATE OR REPLACE TABLE count_peers AS
WITH counted AS (
    SELECT
        inacbg_code,
        comorbidity_count,
        procedure_count,
        count(*) AS claims
    FROM care
    GROUP BY ALL
),

ranked AS (
    SELECT
        *,
        sum(claims) OVER (PARTITION BY inacbg_code) AS all_claims,
        sum(claims) OVER (PARTITION BY inacbg_code ORDER BY comorbidity_count DESC) AS comorbidity_from,
        sum(claims) OVER (PARTITION BY inacbg_code, comorbidity_count) AS comorbidity_alike,
        sum(claims) OVER (PARTITION BY inacbg_code ORDER BY procedure_count DESC) AS procedure_from,
        sum(claims) OVER (PARTITION BY inacbg_code, procedure_count) AS procedure_alike
    FROM counted
)

SELECT
    inacbg_code,
    comorbidity_count,
    procedure_count,
    ((comorbidity_from - comorbidity_alike / 2) / all_claims)::DOUBLE AS comorbidity_share,
    ((procedure_from - procedure_alike / 2) / all_claims)::DOUBLE AS procedure_share
FROM ranked
