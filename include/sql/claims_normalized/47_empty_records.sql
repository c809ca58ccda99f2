-- Stays of which nothing is recorded, neither a procedure nor a secondary diagnosis, where nearly all stays of that
-- INA-CBG have something: who bills a stay that never was has little to write down. Grain: one row per such stay.
-- empty_alike of empty_n stays of that INA-CBG are so, the stay among them; empty_share: the share of the others, drawn
-- towards that of all stays by as much as 50. Only of INA-CBGs with 20 stays, and where 1 in 10 is so at most.
-- empty_weight: in full up to two fifths of the facility's other stays of such INA-CBGs, not at all from seven tenths
-- on, two full records added: there nobody writes such things down (docs/adr/0043).
CREATE OR REPLACE TABLE empty_records AS
WITH stays AS (
    SELECT
        claim_id,
        facility_key,
        inacbg_code,
        procedure_count = 0 AND comorbidity_count = 0 AS is_empty
    FROM care
    WHERE service_type = 'RITL'
),

of_code AS (
    SELECT
        inacbg_code,
        count(*) AS claims,
        count(*) FILTER (is_empty) AS alike
    FROM stays
    GROUP BY inacbg_code
),

shares AS (
    SELECT
        *,
        (alike - 1 + 50 * sum(alike) OVER () / sum(claims) OVER ()) / (claims - 1 + 50) AS share
    FROM of_code
    QUALIFY claims >= 20 AND alike BETWEEN 1 AND 0.1 * claims AND share < 1 / 7
),

rare AS (
    SELECT
        stays.claim_id,
        stays.facility_key,
        stays.is_empty,
        shares.claims,
        shares.alike,
        shares.share
    FROM stays
    INNER JOIN shares ON stays.inacbg_code = shares.inacbg_code
),

own AS (
    SELECT
        facility_key,
        (count(*) FILTER (is_empty) - 1) / (count(*) + 1) AS share
    FROM rare
    GROUP BY facility_key
)

SELECT
    rare.claim_id,
    rare.alike::INTEGER AS empty_alike,
    rare.claims::INTEGER AS empty_n,
    rare.share AS empty_share,
    least(greatest((0.7 - own.share) / 0.3, 0), 1) AS empty_weight
FROM rare
INNER JOIN own ON rare.facility_key = own.facility_key
WHERE rare.is_empty
