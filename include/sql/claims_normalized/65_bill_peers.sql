-- How usual it is for the INA-CBG that a bill stands so far above its peers or its tariff: where many do, one more says
-- little. Grain: one row per claim with an own_inflated_bill. bill_as_far of bill_n claims of that INA-CBG and service
-- type have one at least as large, the claim among them; bill_share: the share of the others, drawn towards that among
-- all claims of the service type (the claim among them) by as much as 50 claims.
-- bill_chance: the share of the bills as far above that are so by chance, as the mirror image tells: as many bills
-- stand as far below. That holds where prices are a spread: it counts where more than two fifths of the service type's
-- bills are 0.3 deviations off, in full from seven tenths on (of normally distributed ones it is three quarters). Where
-- they are a list, who bills less says nothing about who bills more (docs/adr/0040).
CREATE OR REPLACE TABLE bill_peers AS
WITH of_code AS (
    SELECT
        service_type,
        inacbg_code,
        count(*) AS claims
    FROM care
    GROUP BY service_type, inacbg_code
),

of_type AS (
    SELECT
        service_type,
        sum(claims)::BIGINT AS claims
    FROM of_code
    GROUP BY service_type
),

above AS (
    SELECT
        claim_id,
        service_type,
        inacbg_code,
        own_inflated_bill,
        count(*) OVER (PARTITION BY service_type, inacbg_code ORDER BY own_inflated_bill DESC) AS as_far,
        count(*) OVER (PARTITION BY service_type ORDER BY own_inflated_bill DESC) AS type_as_far
    FROM evidence
    WHERE own_inflated_bill > 0
),

spreads AS (
    SELECT
        service_type,
        count(*) FILTER (greatest(own_inflated_bill, own_low_bill) > 0.3) / count(*) AS off,
        least((off - 0.4) / 0.3, 1) AS counts
    FROM evidence
    WHERE price_level <= 2
    GROUP BY service_type
    HAVING off > 0.4
),

either_way AS (
    SELECT
        service_type,
        own_inflated_bill AS deviation,
        1 AS above,
        0 AS below
    FROM evidence
    WHERE own_inflated_bill > 0 AND service_type IN (SELECT spreads.service_type FROM spreads)
    UNION ALL
    SELECT
        service_type,
        own_low_bill AS deviation,
        0 AS above,
        1 AS below
    FROM evidence
    WHERE own_low_bill > 0 AND service_type IN (SELECT spreads.service_type FROM spreads)
),

by_deviation AS (
    SELECT
        service_type,
        deviation,
        sum(above) AS above,
        sum(below) AS below
    FROM either_way
    GROUP BY service_type, deviation
),

mirrored AS (
    SELECT
        service_type,
        deviation,
        (sum(below) OVER farther + 0.5) / (sum(above) OVER farther + 0.5) AS share_below
    FROM by_deviation
    WINDOW farther AS (PARTITION BY service_type ORDER BY deviation DESC)
),

-- A bill further above is no likelier to be so by chance: beyond the last one below nobody is.
chances AS (
    SELECT
        mirrored.service_type,
        mirrored.deviation,
        spreads.counts
        * least(min(mirrored.share_below) OVER (PARTITION BY mirrored.service_type ORDER BY mirrored.deviation ASC), 1)
            AS bill_chance
    FROM mirrored
    INNER JOIN spreads ON mirrored.service_type = spreads.service_type
)

SELECT
    above.claim_id,
    above.as_far::INTEGER AS bill_as_far,
    of_code.claims::INTEGER AS bill_n,
    (above.as_far - 1 + 50 * above.type_as_far / of_type.claims) / (of_code.claims - 1 + 50) AS bill_share,
    coalesce(chances.bill_chance, 0) AS bill_chance
FROM above
INNER JOIN of_code ON above.service_type = of_code.service_type AND above.inacbg_code = of_code.inacbg_code
INNER JOIN of_type ON above.service_type = of_type.service_type
LEFT JOIN chances ON above.service_type = chances.service_type AND above.own_inflated_bill = chances.deviation
