-- How usual a claim's special-CMG top-ups are: the share of claims of the same INA-CBG (without severity) that have the
-- same ones, the claim itself left out.
-- Grain: one row per INA-CBG without severity and set of top-up codes.
CREATE OR REPLACE TABLE topup_peers AS
WITH counted AS (
    SELECT
        inacbg_base,
        topup_codes,
        count(*) AS alike
    FROM care
    GROUP BY inacbg_base, topup_codes
)

SELECT
    inacbg_base,
    topup_codes,
    alike::INTEGER AS topup_alike,
    (sum(alike) OVER (PARTITION BY inacbg_base))::INTEGER AS topup_n,
    (alike - 0.5) / topup_n AS topup_share
FROM counted
