-- The usual price of a day of stay: ln of the median of price / max(LOS, 1) among claims of the same INA-CBG, where
-- these are min_peers claims of at least 3 facilities, as for prices (42_price_peers.sql). Other INA-CBGs' days say
-- nothing about this one's.
-- Grain: one row per INA-CBG with so many claims.
CREATE OR REPLACE TABLE day_price_peers AS
SELECT
    inacbg_code,
    count(*)::INTEGER AS day_price_n,
    ln(median(exp(ln_price) / greatest(los, 1))) AS ln_middle
FROM care
GROUP BY inacbg_code
HAVING
    count(*) >= (SELECT limits.min_peers FROM run_parameters AS limits)
    AND count(DISTINCT facility_key) >= 3
