-- Care that was split into several claims joins the fragments where a facility does it otherwise than all others.
-- Mostly it is honest, so two of a patient's claims at the facility count only where it has many of their kind:
--   visit        an outpatient's visit one or two days after another one for the same primary diagnosis, with another
--                INA-CBG or other procedures: what is done on one day (a consultation, its laboratory, its X-ray) is
--                billed on two; not two visits at which nothing was done
--   admission    a stay that begins on the day on which its patient came as an outpatient: a stay invented around a
--                visit that took place, or a visit that the stay's package pays (docs/adr/0048)
--   other_stay   two stays with another INA-CBG, at most two days between them; both
-- A kind counts where it is rare with the claim's INA-CBG at other facilities (below 1 in 20) and the facility has such
-- claims of five patients or more, and two and a half times as many as its case mix would bring, both drawn towards
-- each other by 2. Of outpatients with more than three such visits at the facility none: they are in a course of
-- treatment (physiotherapy changes what it does). Newborns' stays (main group P) are left out: mother and
-- child share a number.
-- Grain and columns: as in 51_fragments.sql, one row per such claim; what that statement or an earlier kind found
-- stays. fragment_by: the kind; fragment_gap_days: days between the two; fragment_of: the claim id of the other one.
-- fragment_share: the share of other facilities' claims with that INA-CBG (without severity) that are of that kind,
-- drawn towards that of all claims of the service type by as much as 200 visits or 20 stays; fragment_alike of
-- fragment_n claims with it, the facility's among them, are such ones.
INSERT INTO fragments BY NAME
WITH kinds (place, kind, service_type, drawn) AS (
    VALUES
    (1, 'visit', 'RJTL', 200),
    (2, 'admission', 'RITL', 20),
    (3, 'other_stay', 'RITL', 20)
),

-- Hashes of who was treated where, for what and how: at 12 million claims the texts would go to disk.
visits AS (
    SELECT
        claim_id,
        hash(patient_key, facility_key) AS patient,
        hash(patient_key, facility_key, primary_diagnosis) AS ill,
        hash(inacbg_code, procedure_codes) AS done,
        procedure_codes <> '' AS treated,
        admission_date
    FROM persons
    WHERE service_type = 'RJTL'
),

stays AS (
    SELECT
        claim_id,
        hash(patient_key, facility_key) AS patient,
        inacbg_base,
        admission_date,
        discharge_date
    FROM persons
    WHERE service_type = 'RITL' AND NOT starts_with(inacbg_base, 'P-')
),

pairs AS (
    SELECT
        'visit' AS kind,
        visits.claim_id,
        earlier.claim_id AS other,
        days.gap
    FROM visits
    CROSS JOIN (VALUES (1), (2)) AS days (gap)
    INNER JOIN visits AS earlier
        ON visits.ill = earlier.ill AND visits.admission_date - days.gap = earlier.admission_date
    WHERE visits.done <> earlier.done AND (visits.treated OR earlier.treated)
    UNION ALL
    SELECT
        'admission' AS kind,
        stays.claim_id,
        visits.claim_id AS other,
        0 AS gap
    FROM visits
    INNER JOIN stays ON visits.patient = stays.patient AND visits.admission_date = stays.admission_date
    UNION ALL
    SELECT
        'other_stay' AS kind,
        unnest([stays.claim_id, earlier.claim_id]) AS claim_id,
        unnest([earlier.claim_id, stays.claim_id]) AS other,
        days.gap
    FROM stays
    CROSS JOIN (VALUES (0), (1), (2)) AS days (gap)
    INNER JOIN stays AS earlier
        ON stays.patient = earlier.patient AND stays.admission_date - days.gap = earlier.discharge_date
    WHERE stays.inacbg_base <> earlier.inacbg_base AND earlier.admission_date < stays.discharge_date
),

nearest AS (
    SELECT
        claim_id,
        kind,
        min({ 'gap': gap, 'claim_id': other }) AS neighbour
    FROM pairs
    GROUP BY claim_id, kind
),

split AS (
    SELECT
        nearest.*,
        persons.patient_key,
        persons.facility_key,
        persons.inacbg_base
    FROM nearest
    INNER JOIN persons ON nearest.claim_id = persons.claim_id
    QUALIFY
        nearest.kind <> 'visit'
        OR count(*) OVER (PARTITION BY nearest.kind, persons.patient_key, persons.facility_key) <= 3
),

split_by_case AS (
    SELECT
        kind,
        facility_key,
        inacbg_base,
        count(*) AS split
    FROM split
    GROUP BY kind, facility_key, inacbg_base
),

by_case AS (
    SELECT
        service_type,
        facility_key,
        inacbg_base,
        count(*) AS claims
    FROM persons
    GROUP BY service_type, facility_key, inacbg_base
),

compared AS (
    SELECT
        kinds.kind,
        kinds.place,
        by_case.facility_key,
        by_case.inacbg_base,
        by_case.claims,
        coalesce(split_by_case.split, 0) AS own_split,
        (sum(split_by_case.split) OVER alike)::BIGINT AS alike,
        (sum(by_case.claims) OVER alike)::BIGINT AS n,
        sum(split_by_case.split) OVER of_kind / sum(by_case.claims) OVER of_kind AS overall,
        (coalesce(alike, 0) - own_split + kinds.drawn * overall) / (n - by_case.claims + kinds.drawn) AS share
    FROM by_case
    INNER JOIN kinds ON by_case.service_type = kinds.service_type
    LEFT JOIN split_by_case
        ON
            kinds.kind = split_by_case.kind
            AND by_case.facility_key = split_by_case.facility_key
            AND by_case.inacbg_base = split_by_case.inacbg_base
    WINDOW
        alike AS (PARTITION BY kinds.kind, by_case.inacbg_base),
        of_kind AS (PARTITION BY kinds.kind)
),

rare AS (
    SELECT
        *,
        sum(own_split) OVER here AS observed,
        -- In millionths, as sums of whole numbers do not depend on the order in which threads add them.
        sum((1e6 * claims * share)::BIGINT) OVER here / 1e6 AS expected
    FROM compared
    WHERE share < 0.05
    WINDOW here AS (PARTITION BY kind, facility_key)
),

odd AS (
    SELECT
        split.claim_id,
        split.kind,
        split.neighbour,
        rare.place,
        rare.alike,
        rare.n,
        rare.share,
        count(DISTINCT split.patient_key) OVER (PARTITION BY split.kind, split.facility_key) AS patients
    FROM split
    INNER JOIN rare
        ON
            split.kind = rare.kind
            AND split.facility_key = rare.facility_key
            AND split.inacbg_base = rare.inacbg_base
    WHERE rare.observed + 2 >= 2.5 * (rare.expected + 2)
)

SELECT
    odd.claim_id,
    odd.kind AS fragment_by,
    odd.neighbour.gap::INTEGER AS fragment_gap_days,
    odd.neighbour.claim_id AS fragment_of,
    odd.alike::INTEGER AS fragment_alike,
    odd.n::INTEGER AS fragment_n,
    odd.share AS fragment_share
FROM odd
ANTI JOIN fragments ON odd.claim_id = fragments.claim_id
WHERE odd.patients >= 5
QUALIFY row_number() OVER (PARTITION BY odd.claim_id ORDER BY odd.place) = 1
