-- The visits that were known on the data date, with codes turned into words.
-- Grain: one row per claim. Input: visits, code_labels. A view: to compute the few words again costs
-- less than to write every claim once more.
-- Severity comes from the last part of the INA-CBG code (0, I, II, III), never from FKL23, which counts 1..4 for the
-- same and is widely misread by one. An outpatient claim has no severity: rawat_jalan.
-- The facility is in the claim id (inference from the official SEP numbering): digits + MMYY + 'V' + 6 digits. Where
-- the id is not of that form, the facility is taken to be the one of that regency, ownership, type and class.
CREATE OR REPLACE VIEW known_visits AS
WITH known AS (
    SELECT
        visits.*,
        -- What stands before the last 11 characters; a match without groups is several times as fast as one with.
        CASE
            WHEN regexp_full_match(visits.claim_id, '\d+(0[1-9]|1[0-2])\d{2}V\d{6}')
                THEN left(visits.claim_id, -11)
            ELSE ''
        END AS facility_digits,
        split_part(visits.inacbg_code, '-', 4) AS severity_part
    FROM visits
    WHERE visits.known
)

SELECT
    known.claim_id,
    known.patient_key,
    CASE
        WHEN known.facility_digits <> '' THEN known.facility_digits
        ELSE concat_ws(
            '-',
            coalesce(known.regency_code, 9999),
            coalesce(known.ownership_code, 98),
            coalesce(known.facility_type_code, 98),
            coalesce(known.facility_class_code, 98)
        )
    END AS facility_key,
    if(known.facility_digits <> '', 'claim_id', 'composite') AS facility_key_source,
    known.admission_date,
    known.discharge_date,
    (known.discharge_date - known.admission_date)::INTEGER AS los,
    service.label AS service_type,
    CASE known.severity_part
        WHEN '0' THEN 'rawat_jalan'
        WHEN 'I' THEN 'ringan'
        WHEN 'II' THEN 'sedang'
        WHEN 'III' THEN 'berat'
        ELSE 'tidak_diketahui'
    END AS severity_group,
    (list_position(['0', 'I', 'II', 'III'], known.severity_part) - 1)::TINYINT AS severity_level,
    known.inacbg_code,
    -- Case-mix main group and case type, e.g. G-1 for procedures on the nervous system.
    split_part(known.inacbg_code, '-', 1) || '-' || split_part(known.inacbg_code, '-', 2) AS inacbg_group,
    -- The INA-CBG without its severity: what the diagnoses and procedures alone decide, e.g. A-4-14.
    regexp_replace(known.inacbg_code, '-[^-]*$', '') AS inacbg_base,
    known.inacbg_description,
    try_cast(known.province_code AS SMALLINT) AS province_code,
    coalesce(province.label, 'Tidak diketahui') AS province_name,
    known.regency_code,
    coalesce(ownership.label, 'Tidak diketahui') AS facility_ownership,
    coalesce(facility_type.label, 'Tidak diketahui') AS facility_type,
    coalesce(facility_class.label, 'Tidak diketahui') AS facility_class,
    try_cast(known.ward_class AS TINYINT) AS ward_class,
    try_cast(known.tariff_region AS TINYINT) AS tariff_region,
    known.primary_diagnosis,
    coalesce(known.primary_diagnosis_group, left(known.primary_diagnosis, 3)) AS primary_diagnosis_group,
    known.primary_diagnosis_label,
    known.admission_diagnosis,
    known.discharge_status,
    known.procedures,
    known.inacbg_tariff,
    known.topup_amount,
    known.topup_codes,
    known.topups,
    known.amount_claimed,
    known.amount_paid
FROM known
LEFT JOIN code_labels AS service ON known.service_level = service.code AND service.kind = 'service_type'
LEFT JOIN code_labels AS province ON known.province_code = province.code AND province.kind = 'province'
LEFT JOIN code_labels AS ownership ON known.ownership_code = ownership.code AND ownership.kind = 'ownership'
LEFT JOIN code_labels AS facility_type
    ON known.facility_type_code = facility_type.code AND facility_type.kind = 'facility_type'
LEFT JOIN code_labels AS facility_class
    ON known.facility_class_code = facility_class.code AND facility_class.kind = 'facility_class'
