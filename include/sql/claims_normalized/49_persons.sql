-- The claims whose number is one person's: what a patient was billed before is looked for among these, and how usual
-- that is. Grain: one row per claim. A view.
CREATE OR REPLACE VIEW persons AS
SELECT care.* -- noqa: AM04
FROM care
ANTI JOIN shared_numbers ON care.patient_key = shared_numbers.patient_key
