-- Stays during which the patient came to an outpatient clinic join the overlaps: who walks into a clinic does not lie
-- in bed, and of the two the stay is the dear one, that may never have been (docs/adr/0045). Stays that begin within
-- another one are there already.
-- Grain and columns: as in 54_overlapping.sql, with overlap_visit; overlap_of is the visit's claim id (of several the
-- first), overlap_day the days since this stay's admission, overlap_los its LOS.
-- overlap_share: how usual it is for stays with that INA-CBG (without severity), half of the stay left out, drawn
-- towards that of all stays by as much as 20; overlap_alike of overlap_n stays with it are such ones.
INSERT INTO overlapping BY NAME
WITH visited AS (
    SELECT
        overlapping.overlap_of AS claim_id,
        min({
            'day': overlapping.overlap_day,
            'claim_id': overlapping.claim_id,
            'elsewhere': overlapping.overlap_elsewhere
        }) AS visit
    FROM overlapping
    INNER JOIN care ON overlapping.claim_id = care.claim_id
    WHERE care.service_type = 'RJTL'
    GROUP BY overlapping.overlap_of
),

counted AS (
    SELECT
        visited.claim_id,
        visited.visit,
        care.inacbg_base,
        care.los,
        count(*) OVER (PARTITION BY care.inacbg_base) AS alike,
        count(*) OVER () AS all_alike
    FROM visited
    INNER JOIN care ON visited.claim_id = care.claim_id
),

of_base AS (
    SELECT
        inacbg_base,
        count(*) AS stays,
        sum(count(*)) OVER () AS all_stays
    FROM persons
    WHERE service_type = 'RITL'
    GROUP BY inacbg_base
)

SELECT
    counted.claim_id,
    counted.visit.claim_id AS overlap_of,
    counted.visit.day AS overlap_day,
    counted.los::INTEGER AS overlap_los,
    TRUE AS overlap_visit,
    FALSE AS overlap_died,
    counted.visit.elsewhere AS overlap_elsewhere,
    1 AS overlap_weight,
    counted.alike::INTEGER AS overlap_alike,
    of_base.stays::INTEGER AS overlap_n,
    (counted.alike - 0.5 + 20 * counted.all_alike / of_base.all_stays) / (of_base.stays + 20) AS overlap_share
FROM counted
INNER JOIN of_base ON counted.inacbg_base = of_base.inacbg_base
ANTI JOIN overlapping ON counted.claim_id = overlapping.claim_id
