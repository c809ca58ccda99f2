-- Claims after death join the overlaps: a claim that begins two days or more after its patient was discharged as died
-- (status 4, "meninggal", of BPJS VClaim's reference of discharge statuses). Nobody is treated then: a visit that
-- never was. Grain and columns: as in 54_overlapping.sql, with overlap_died; overlap_of is the claim that ended with
-- the death (of several the earliest), overlap_day the days since it.
-- overlap_share: how usual it is among those who died, drawn towards 1 in 50 by as much as 20 of them: overlap_alike
-- of overlap_n patients have a claim afterwards. Where that is 1 in 20 or more the status says nothing, and no claim
-- is one. Whom more than three claims or two facilities' claims follow lives, the status is a slip. Newborns (main
-- group P) are left out on both sides: mother and child share a number, and one of them lives.
INSERT INTO overlapping BY NAME
WITH not_newborn AS (
    SELECT *
    FROM persons
    WHERE NOT starts_with(inacbg_code, 'P-')
),

deaths AS (
    SELECT
        patient_key,
        min({
            'died': discharge_date, 'claim_id': claim_id, 'los': los, 'facility_key': facility_key
        }) AS death
    FROM not_newborn
    WHERE discharge_status = 4
    GROUP BY patient_key
),

afterwards AS (
    SELECT
        not_newborn.claim_id,
        not_newborn.patient_key,
        not_newborn.facility_key,
        not_newborn.admission_date,
        deaths.death
    FROM not_newborn
    INNER JOIN deaths ON not_newborn.patient_key = deaths.patient_key
    WHERE not_newborn.admission_date > deaths.death.died + 1
),

believable AS (
    SELECT
        patient_key,
        (count(*) OVER ())::INTEGER AS alike,
        (SELECT count(*) FROM deaths)::INTEGER AS n,
        count(*) <= 3 AND count(DISTINCT facility_key) = 1 AS never_seen_alive
    FROM afterwards
    GROUP BY patient_key
)

SELECT
    afterwards.claim_id,
    afterwards.death.claim_id AS overlap_of,
    (afterwards.admission_date - afterwards.death.died)::INTEGER AS overlap_day,
    afterwards.death.los AS overlap_los,
    FALSE AS overlap_visit,
    TRUE AS overlap_died,
    afterwards.death.facility_key <> afterwards.facility_key AS overlap_elsewhere,
    1 AS overlap_weight,
    believable.alike AS overlap_alike,
    believable.n AS overlap_n,
    (believable.alike - 0.5 + 20 / 50) / (believable.n + 20) AS overlap_share
FROM afterwards
INNER JOIN believable ON afterwards.patient_key = believable.patient_key
ANTI JOIN overlapping ON afterwards.claim_id = overlapping.claim_id
WHERE believable.never_seen_alive AND 20 * believable.alike < believable.n
