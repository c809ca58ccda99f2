-- Participant numbers that are not one person's: more than ten facilities bill them, as they do a placeholder ('0'), or
-- they come with more than 20 INA-CBGs (without severity) or primary diagnoses (of three characters), as one facility's
-- own placeholder does, or with more than 100 claims at more than two a day from the first to the last one, as that of
-- a clinic which treats one thing only; fewer may be one bill sent again and again. On labelled sets of many generators
-- no patient had more than 20 of either, nor one of more than 100 claims 0.6 a day.
-- Grain: one row per such number.
CREATE OR REPLACE TABLE shared_numbers AS
WITH often AS (
    SELECT patient_key
    FROM care
    GROUP BY patient_key
    HAVING count(*) > 10
)

SELECT care.patient_key
FROM care
SEMI JOIN often ON care.patient_key = often.patient_key
GROUP BY care.patient_key
HAVING
    count(DISTINCT care.facility_key) > 10
    OR count(DISTINCT care.inacbg_base) > 20
    OR count(DISTINCT care.primary_diagnosis[:3]) > 20
    OR (count(*) > 100 AND count(*) > 2 * (max(care.admission_date) - min(care.admission_date) + 1))
