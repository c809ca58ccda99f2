-- What a facility bills above its peers for a time: with another class or tariff all its prices are others from one day
-- on, and the median of all its claims (60_own_prices.sql) is the old one or the new one. Of the bills that are exactly
-- its tariff, of both service types, as a class goes for both; natural logarithms.
-- Grain: one row per facility, half and month with 10 such bills whose median is above their peers'. half: 0 for the
-- days of a calendar month, 1 for those from the 16th of month on to the 15th of the next. After a change one of the
-- two, or both, have more days with the new prices than with the old ones.
-- ln_own: median of how far these prices are above their peers' (42_price_peers.sql; of that INA-CBG).
CREATE OR REPLACE TABLE own_months AS
WITH bills AS (
    SELECT
        care.facility_key,
        care.discharge_date,
        care.ln_price - price.ln_middle AS ln_above
    FROM care
    INNER JOIN price_peers AS price
        ON
            care.service_type = price.service_type
            AND care.inacbg_code = price.inacbg_code
            AND care.severity_group = price.severity_group
            AND care.facility_class = price.facility_class
            AND care.ward_class IS NOT DISTINCT FROM price.ward_class
            AND care.tariff_region IS NOT DISTINCT FROM price.tariff_region
    WHERE
        price.price_level <= 2
        AND abs(
            ln(
                greatest(care.amount_claimed, 1)
                / (written_tariff(care.inacbg_tariff, price.price_level, price.ln_middle) + care.topup_amount)
            )
        ) <= 0.01
),

months AS (
    SELECT
        facility_key,
        0 AS half,
        date_trunc('month', discharge_date) AS month,
        ln_above
    FROM bills
    UNION ALL
    SELECT
        facility_key,
        1 AS half,
        date_trunc('month', discharge_date - 15) AS month,
        ln_above
    FROM bills
)

SELECT
    facility_key,
    half,
    month,
    median(ln_above) AS ln_own
FROM months
GROUP BY facility_key, half, month
HAVING count(*) >= 10 AND ln_own > 0;
