-- The usual price of a day of stay: median of ln(price / max(LOS, 1)) among claims of the same INA-CBG.
-- Grain: one row per INA-CBG.
CREATE OR REPLACE TABLE day_price_peers AS
SELECT
    inacbg_code,
    median(ln_price - ln(greatest(los, 1))) AS ln_middle
FROM care
GROUP BY inacbg_code
