-- Overlaps: claims that begin while the patient lies in hospital on another claim, after that stay's first and before
-- its last day. Nobody is in two places: a visit or a stay that never was, or a stay billed again some days later. The
-- first and the last day do not count: transfers, the clinic that admits. Nor do newborns' claims (main group
-- P): mother, child and twin share a number.
-- Grain: one row per such claim; the stays with visits during them join them (54_visited_stays.sql).
-- overlap_of: the claim id of that stay, of several the one that ends last; overlap_day: days since its admission;
-- overlap_los: its LOS; overlap_elsewhere: at another facility; overlap_visit: overlap_of is a visit during this stay,
-- not here; overlap_died: the patient had died (55_after_death.sql), not here; overlap_weekday: the facility is closed
-- (56_closed_days.sql), not here.
-- overlap_weight: a visit to the facility that has the patient in bed says a quarter: the stay says the rest
-- (docs/adr/0045).
-- overlap_share: how usual an overlap is for that INA-CBG (without severity), half of the claim left out, drawn towards
-- that of all claims of the service type by as much as 20 claims (a dialysis goes on elsewhere); overlap_alike of
-- overlap_n claims with it are such ones.
CREATE OR REPLACE TABLE overlapping AS
WITH inpatients AS (
    SELECT DISTINCT patient_key
    FROM persons
    WHERE service_type = 'RITL' AND los >= 2
),

-- A window instead of a join with itself: a number that many share must not multiply.
placed AS (
    SELECT
        care.claim_id,
        care.patient_key,
        care.facility_key,
        care.inacbg_base,
        care.service_type,
        care.admission_date,
        max({
            'until': care.discharge_date,
            'claim_id': care.claim_id,
            'since': care.admission_date,
            'facility_key': care.facility_key
        }) FILTER (care.service_type = 'RITL') OVER earlier AS stay
    FROM care
    SEMI JOIN inpatients ON care.patient_key = inpatients.patient_key
    WHERE NOT starts_with(care.inacbg_code, 'P-')
    WINDOW earlier AS (
        PARTITION BY care.patient_key
        ORDER BY care.admission_date - DATE '2000-01-01'
        RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    )
),

inside AS (
    SELECT placed.*
    FROM placed
    WHERE placed.stay.until > placed.admission_date
),

of_base AS (
    SELECT
        inacbg_base,
        service_type,
        count(*) AS claims
    FROM persons
    GROUP BY inacbg_base, service_type
),

of_type AS (
    SELECT
        service_type,
        sum(claims)::BIGINT AS claims
    FROM of_base
    GROUP BY service_type
),

counted AS (
    SELECT
        *,
        count(*) OVER (PARTITION BY inacbg_base, service_type) AS alike,
        count(*) OVER (PARTITION BY service_type) AS type_alike
    FROM inside
)

SELECT
    counted.claim_id,
    counted.stay.claim_id AS overlap_of,
    (counted.admission_date - counted.stay.since)::INTEGER AS overlap_day,
    (counted.stay.until - counted.stay.since)::INTEGER AS overlap_los,
    FALSE AS overlap_visit,
    FALSE AS overlap_died,
    NULL::INTEGER AS overlap_weekday,
    counted.stay.facility_key <> counted.facility_key AS overlap_elsewhere,
    if(counted.service_type = 'RJTL' AND NOT overlap_elsewhere, 0.25, 1) AS overlap_weight,
    counted.alike::INTEGER AS overlap_alike,
    of_base.claims::INTEGER AS overlap_n,
    (counted.alike - 0.5 + 20 * counted.type_alike / of_type.claims) / (of_base.claims + 20) AS overlap_share
FROM counted
INNER JOIN of_base ON counted.inacbg_base = of_base.inacbg_base AND counted.service_type = of_base.service_type
INNER JOIN of_type ON counted.service_type = of_type.service_type
