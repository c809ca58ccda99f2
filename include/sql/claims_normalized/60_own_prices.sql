-- What a facility usually bills above its peers, and above its own tariff: it has its price list, which no single claim
-- answers for. Grain: one row per facility and service type with 10 such claims; natural logarithms, 0 where not above.
-- ln_own: median of how far its prices are above their peers' (42_price_peers.sql; of that INA-CBG), of the bills that
-- are exactly its tariff. ln_factor: median of how far its bills are off its tariff, top-ups added.
-- Where facilities bill their tariff, one that does not raises its bills, and ln_factor is 0. Where most claims are of
-- facilities whose bills are mostly off it to one side, each has a factor of its own, and ln_own is that of all its
-- bills: by half of the service type's claims not at all, from seven tenths on in full (docs/adr/0042).
CREATE OR REPLACE TABLE own_prices AS
WITH bills AS (
    SELECT
        facility_key,
        service_type,
        inacbg_code,
        severity_group,
        facility_class,
        ward_class,
        tariff_region,
        ln_price,
        ln(greatest(amount_claimed, 1) / nullif(inacbg_tariff + topup_amount, 0)) AS ln_off
    FROM care
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
        least((coalesce(sum(claims) FILTER (is_off), 0) / sum(claims) - 0.5) / 0.2, 1) AS counts
    FROM facilities
    GROUP BY service_type
    HAVING counts > 0
),

compared AS (
    SELECT
        bills.facility_key,
        bills.service_type,
        bills.ln_off,
        factors.counts,
        if(price.price_level <= 2, bills.ln_price - price.ln_middle, NULL) AS ln_above,
        if(abs(bills.ln_off) <= 0.01, ln_above, NULL) AS ln_above_at_tariff
    FROM bills
    INNER JOIN price_peers AS price
        ON
            bills.service_type = price.service_type
            AND bills.inacbg_code = price.inacbg_code
            AND bills.severity_group = price.severity_group
            AND bills.facility_class = price.facility_class
            AND bills.ward_class IS NOT DISTINCT FROM price.ward_class
            AND bills.tariff_region IS NOT DISTINCT FROM price.tariff_region
    LEFT JOIN factors ON bills.service_type = factors.service_type
    WHERE abs(bills.ln_off) <= 0.01 OR factors.counts > 0
),

medians AS (
    SELECT
        facility_key,
        service_type,
        coalesce(any_value(counts), 0) AS counts,
        if(count(ln_above_at_tariff) >= 10, greatest(median(ln_above_at_tariff), 0), 0) AS ln_own_at_tariff,
        if(count(ln_above) >= 10, greatest(median(ln_above), 0), 0) AS ln_own_of_all,
        if(count(ln_off) >= 10, greatest(median(ln_off), 0), 0) AS ln_off
    FROM compared
    GROUP BY facility_key, service_type
)

SELECT
    facility_key,
    service_type,
    counts * ln_own_of_all + (1 - counts) * ln_own_at_tariff AS ln_own,
    counts * ln_off AS ln_factor
FROM medians
WHERE ln_own > 0 OR ln_factor > 0
