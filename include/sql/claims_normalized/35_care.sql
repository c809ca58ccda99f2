-- What was done and what it was billed at: all that the comparisons with peers start from.
-- Grain: one row per claim. price: rupiah without the special-CMG top-ups, at least 1; ln_price: its natural logarithm.
-- care_digest: the same for claims with the same INA-CBG, primary and secondary diagnoses and procedures.
CREATE OR REPLACE TABLE care AS
SELECT
    visit.claim_id,
    visit.patient_key,
    visit.facility_key,
    visit.admission_date,
    visit.discharge_date,
    visit.los,
    visit.service_type,
    visit.severity_group,
    visit.severity_level,
    visit.inacbg_code,
    visit.inacbg_base,
    visit.inacbg_group,
    visit.facility_class,
    visit.ward_class,
    visit.tariff_region,
    visit.primary_diagnosis,
    visit.admission_diagnosis,
    visit.discharge_status,
    visit.inacbg_tariff,
    visit.topup_amount,
    visit.topup_codes,
    visit.topups,
    visit.amount_claimed,
    coalesce(procedure_codes.codes, '') AS procedure_codes,
    coalesce(procedure_codes.procedure_count, 0)::SMALLINT AS procedure_count,
    coalesce(comorbidity.comorbidity_count, 0)::SMALLINT AS comorbidity_count,
    hash(
        visit.inacbg_code, visit.primary_diagnosis, coalesce(procedure_codes.codes, ''), comorbidity.secondary_diagnoses
    ) AS care_digest,
    ln(greatest(visit.amount_claimed - visit.topup_amount, 1)) AS ln_price
FROM known_visits AS visit
LEFT JOIN procedure_codes ON visit.procedures = procedure_codes.procedures
LEFT JOIN comorbidity ON visit.claim_id = comorbidity.claim_id
