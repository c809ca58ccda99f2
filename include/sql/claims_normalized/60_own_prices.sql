-- What a facility usually bills above its peers, and off its own tariff: it has its price list, which no single claim
-- answers for. Grain: one row per facility and service type with 10 such claims; natural logarithms.
-- ln_own: median of how far its prices are above their peers' (42_price_peers.sql; of that INA-CBG), of the bills that
-- are exactly its tariff. ln_off: median of how far its bills are off its tariff, top-ups added. Neither below 0.
-- Where facilities bill their tariff, one that does not raises its bills, and ln_off is 0. Where most facilities, with
-- most claims, bill more than half of the time off it to one side, each has a factor of its own, and ln_own is that of
-- all its bills: by half of them not at all, from seven tenths on in full (factors_count, 0 to 1; docs/adr/0042).
-- ln_below, ln_off_below: as ln_own and ln_off where these are below 0, for the low bills of 65_bill_peers.sql.
CREATE OR REPLACE TABLE own_prices AS
WITH bills AS (
    SELECT
        care.facility_key,
        care.service_type,
        if(price.price_level <= 2, care.ln_price - price.ln_middle, NULL) AS ln_above,
        written_tariff(care.inacbg_tariff, price.price_level, price.ln_middle) AS tariff,
        ln(greatest(care.amount_claimed, 1) / (tariff + care.topup_amount)) AS ln_off
    FROM care
    INNER JOIN price_peers AS price
        ON
            care.service_type = price.service_type
            AND care.inacbg_code = price.inacbg_code
            AND care.severity_group = price.severity_group
            AND care.facility_class = price.facility_class
            AND care.ward_class IS NOT DISTINCT FROM price.ward_class
            AND care.tariff_region IS NOT DISTINCT FROM price.tariff_region
),

facilities AS (
    SELECT
        facility_key,
        service_type,
        count(*) AS claims,
        greatest(count(*) FILTER (ln_off > 0.01), count(*) FILTER (ln_off < -0.01)) > 0.5 * claims AS is_off
    FROM bills
    WHERE ln_off IS NOT NULL
    GROUP BY facility_key, service_type
    HAVING claims >= 10
),

factors AS (
    SELECT
        service_type,
        least(coalesce(sum(claims) FILTER (is_off), 0) / sum(claims), count(*) FILTER (is_off) / count(*)) AS off,
        least((off - 0.5) / 0.2, 1) AS counts
    FROM facilities
    GROUP BY service_type
    HAVING off > 0.5
),

medians AS (
    SELECT
        bills.facility_key,
        bills.service_type,
        coalesce(any_value(factors.counts), 0) AS factors_count,
        if(
            count(*) FILTER (abs(bills.ln_off) <= 0.01 AND bills.ln_above IS NOT NULL) >= 10,
            greatest(median(bills.ln_above) FILTER (abs(bills.ln_off) <= 0.01), 0),
            0
        ) AS ln_own_at_tariff,
        if(factors_count > 0 AND count(bills.ln_above) >= 10, median(bills.ln_above), 0) AS ln_own_of_all,
        if(factors_count > 0 AND count(bills.ln_off) >= 10, median(bills.ln_off), 0) AS ln_off
    FROM bills
    LEFT JOIN factors ON bills.service_type = factors.service_type
    WHERE abs(bills.ln_off) <= 0.01 OR factors.counts > 0
    GROUP BY bills.facility_key, bills.service_type
)

SELECT
    facility_key,
    service_type,
    factors_count,
    factors_count * greatest(ln_own_of_all, 0) + (1 - factors_count) * ln_own_at_tariff AS ln_own,
    greatest(ln_off, 0) AS ln_off,
    factors_count * least(ln_own_of_all, 0) AS ln_below,
    factors_count * least(ln_off, 0) AS ln_off_below
FROM medians
WHERE ln_own_at_tariff > 0 OR factors_count > 0
