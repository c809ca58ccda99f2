-- Participant numbers that are not one person's: more than ten facilities bill them, as they do a placeholder ('0'), or
-- they come with more than 20 INA-CBGs (without severity) or primary diagnoses (of three characters), as one facility's
-- own placeholder does. On labelled sets of many generators no patient had more than 20 of either.
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
