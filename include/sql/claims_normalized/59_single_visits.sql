-- Visits that are their patient's only claim with a diagnosis for which others come again and again: a number taken
-- from the files for a visit that never was has no second one. Outpatients' claims alone; the patient's stays and his
-- visits elsewhere count as others. A placeholder is nobody's number.
-- Grain: one row per such claim. single_alike of single_n: such visits among all visits with that primary diagnosis at
-- other facilities, 20 or more; single_share: (alike + 0.5) / (n + 1), below 0.3.
-- single_weight (0..1): who came in the file's first or last month may have come before or come again; the days to the
-- nearer end of the file (51_file_period.sql), 30 as one.
CREATE OR REPLACE TABLE single_visits AS
WITH treated AS ( -- with a hash of patient and diagnosis: the texts took twice as long
    SELECT
        claim_id,
        facility_key,
        service_type,
        primary_diagnosis,
        admission_date,
        hash(patient_key, primary_diagnosis) AS course
    FROM persons
),

once AS (
    SELECT course
    FROM treated
    GROUP BY course
    HAVING count(*) = 1
),

visits AS (
    SELECT
        treated.claim_id,
        treated.facility_key,
        treated.primary_diagnosis,
        treated.admission_date,
        once.course IS NOT NULL AS single
    FROM treated
    LEFT JOIN once ON treated.course = once.course
    WHERE treated.service_type = 'RJTL'
),

own AS (
    SELECT
        facility_key,
        primary_diagnosis,
        count(*) AS visits,
        count(*) FILTER (single) AS single
    FROM visits
    GROUP BY facility_key, primary_diagnosis
),

anywhere AS (
    SELECT
        primary_diagnosis,
        sum(visits)::BIGINT AS visits,
        sum(single)::BIGINT AS single
    FROM own
    GROUP BY primary_diagnosis
),

elsewhere AS (
    SELECT
        own.facility_key,
        own.primary_diagnosis,
        anywhere.single - own.single AS alike,
        anywhere.visits - own.visits AS n,
        (alike + 0.5) / (n + 1) AS share
    FROM own
    INNER JOIN anywhere ON own.primary_diagnosis = anywhere.primary_diagnosis
    WHERE n >= 20 AND share < 0.3
)

SELECT
    visits.claim_id,
    elsewhere.alike::INTEGER AS single_alike,
    elsewhere.n::INTEGER AS single_n,
    elsewhere.share AS single_share,
    least(visits.admission_date - period.first_day, period.last_day - visits.admission_date, 30) / 30 AS single_weight
FROM visits
CROSS JOIN file_period AS period
INNER JOIN elsewhere
    ON visits.facility_key = elsewhere.facility_key AND visits.primary_diagnosis = elsewhere.primary_diagnosis
WHERE visits.single AND single_weight > 0
