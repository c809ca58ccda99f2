-- How usual it is for the INA-CBG that a bill stands so far above its peers or its tariff: where many do, one more says
-- little. Grain: one row per claim with an own_inflated_bill. bill_as_far of bill_n claims of that INA-CBG and service
-- type have one at least as large, the claim among them; bill_share: the share of the others, drawn towards that among
-- all claims of the service type (the claim among them) by as much as 50 claims.
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
        count(*) OVER (PARTITION BY service_type, inacbg_code ORDER BY own_inflated_bill DESC) AS as_far,
        count(*) OVER (PARTITION BY service_type ORDER BY own_inflated_bill DESC) AS type_as_far
    FROM evidence
    WHERE own_inflated_bill > 0
)

SELECT
    above.claim_id,
    above.as_far::INTEGER AS bill_as_far,
    of_code.claims::INTEGER AS bill_n,
    (above.as_far - 1 + 50 * above.type_as_far / of_type.claims) / (of_code.claims - 1 + 50) AS bill_share
FROM above
INNER JOIN of_code ON above.service_type = of_code.service_type AND above.inacbg_code = of_code.inacbg_code
INNER JOIN of_type ON above.service_type = of_type.service_type
