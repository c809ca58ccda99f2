-- Stays that continue one another: same patient, facility and INA-CBG (without severity), at most 7 days between the
-- discharge of one and the admission of the next. One stay billed as several looks like this.
-- Grain: one row per such stay, the first as well as the later ones. fragment_by: 'stay' (others: 57_split_care.sql);
-- fragment_gap_days: days to the nearest neighbour, fragment_of: its claim id. A stay inside a longer one does not part
-- that from what continues it.
-- fragment_share: how usual it is for that INA-CBG among other patients' stays, drawn towards that of all stays by as
-- much as 20 stays (chemotherapy is given in courses), as if one stay more were continued; of the patient's own such
-- stays up to three are left out, more of them are a course. fragment_alike of fragment_n stays with it are such
-- ones, the patient's own among them.
-- fragment_same: both have the same secondary diagnoses and severity: whoever cuts one stay in two copies its coding,
-- and who is readmitted is coded anew; fragment_long: together they are longer than nine in ten stays with that
-- INA-CBG, a second stay and no part of the first (docs/adr/0047).
-- Newborns (main group P) admitted on one day are twins: they share their mother's number.
CREATE OR REPLACE TABLE fragments AS
WITH stays AS (
    SELECT
        claim_id,
        patient_key,
        inacbg_base,
        admission_date AS since,
        max({ 'until': discharge_date, 'claim_id': claim_id, 'since': admission_date }) OVER earlier AS earlier
    FROM persons
    WHERE service_type = 'RITL'
    WINDOW earlier AS (
        PARTITION BY patient_key, facility_key, inacbg_base
        ORDER BY admission_date, discharge_date, claim_id
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    )
),

continued AS (
    SELECT
        stays.claim_id,
        stays.patient_key,
        stays.inacbg_base,
        stays.earlier.claim_id AS earlier,
        stays.since - stays.earlier.until AS gap
    FROM stays
    WHERE
        stays.since - stays.earlier.until BETWEEN 0 AND 7
        AND NOT (starts_with(stays.inacbg_base, 'P-') AND stays.since = stays.earlier.since)
),

-- Each of the two is the other's neighbour.
neighbours AS (
    SELECT
        claim_id,
        patient_key,
        inacbg_base,
        { 'gap': gap, 'after': FALSE, 'claim_id': earlier } AS neighbour
    FROM continued
    UNION ALL
    SELECT
        earlier AS claim_id,
        patient_key,
        inacbg_base,
        { 'gap': gap, 'after': TRUE, 'claim_id': claim_id } AS neighbour
    FROM continued
),

gaps AS (
    SELECT
        claim_id,
        any_value(patient_key) AS patient_key,
        any_value(inacbg_base) AS inacbg_base,
        min(neighbour) AS nearest
    FROM neighbours
    GROUP BY claim_id
),

by_patient AS (
    SELECT
        patient_key,
        inacbg_base,
        count(*) AS continued
    FROM gaps
    GROUP BY patient_key, inacbg_base
),

by_base AS (
    SELECT
        inacbg_base,
        count(*) AS stays
    FROM persons
    WHERE service_type = 'RITL'
    GROUP BY inacbg_base
),

usual AS (
    SELECT
        by_base.inacbg_base,
        any_value(by_base.stays) AS stays,
        sum(by_patient.continued)::BIGINT AS continued,
        (SELECT count(*) FROM gaps) / (SELECT sum(every.stays)::BIGINT FROM by_base AS every) AS overall
    FROM by_base
    INNER JOIN by_patient ON by_base.inacbg_base = by_patient.inacbg_base
    GROUP BY by_base.inacbg_base
),

-- Mid-ranks of LOS.
lengths AS (
    SELECT
        inacbg_base,
        los,
        (sum(count(*)) OVER up_to - count(*) / 2) / sum(count(*)) OVER (PARTITION BY inacbg_base) AS share_up_to
    FROM persons
    WHERE service_type = 'RITL'
    GROUP BY inacbg_base, los
    WINDOW up_to AS (PARTITION BY inacbg_base ORDER BY los)
)

SELECT
    gaps.claim_id,
    'stay' AS fragment_by,
    gaps.nearest.gap::INTEGER AS fragment_gap_days,
    gaps.nearest.claim_id AS fragment_of,
    usual.continued::INTEGER AS fragment_alike,
    usual.stays::INTEGER AS fragment_n,
    least(
        (usual.continued - least(by_patient.continued, 3) + 1 + 20 * usual.overall)
        / (usual.stays - least(by_patient.continued, 3) + 20),
        1
    ) AS fragment_share,
    coalesce(own.severity_level, 0) = coalesce(other.severity_level, 0)
    AND coalesce(own_codes.secondary_diagnoses, '') = coalesce(other_codes.secondary_diagnoses, '') AS fragment_same,
    lengths.share_up_to > 0.9 AS fragment_long
FROM gaps
INNER JOIN usual ON gaps.inacbg_base = usual.inacbg_base
INNER JOIN by_patient ON gaps.patient_key = by_patient.patient_key AND gaps.inacbg_base = by_patient.inacbg_base
INNER JOIN care AS own ON gaps.claim_id = own.claim_id
INNER JOIN care AS other ON gaps.nearest.claim_id = other.claim_id
LEFT JOIN comorbidity AS own_codes ON gaps.claim_id = own_codes.claim_id
LEFT JOIN comorbidity AS other_codes ON gaps.nearest.claim_id = other_codes.claim_id
ASOF INNER JOIN lengths ON gaps.inacbg_base = lengths.inacbg_base AND own.los + other.los >= lengths.los
