-- The visits, typed, each with what breaks the contract ('': nothing does). The one scan of the raw file.
-- Grain: one row per parsed row of the raw file, in its order: rowid + 1 is the number of the row. A join in this
-- statement would lose that order, and a row_number() would read the file on one thread.
-- known: discharged on or before the run's data date (variable data_date).
-- Input: view raw_visits (every column text, as it stands in the file). A keyed hash replaces the participant number
-- here, so that no table ever holds it; the family number is not read, as nothing needs it (UU PDP, Law 27/2022). Where
-- fields have slipped, neither is kept as a code, a label or an amount: nothing of eleven digits is, but a claim id.
CREATE OR REPLACE TABLE checked_visits AS
WITH typed AS (
    SELECT
        raw.*,
        cleaned(raw.fkl02) AS claim_id,
        cleaned(raw.pstv01) AS participant,
        as_day(raw.fkl03) AS admission_date,
        as_day(raw.fkl04) AS discharge_date,
        as_code(raw.fkl05) AS province_code,
        as_code(raw.fkl06) AS regency_code,
        as_code(raw.fkl07) AS ownership_code,
        as_code(raw.fkl08) AS facility_type_code,
        as_code(raw.fkl09) AS facility_class_code,
        as_code(raw.fkl10) AS service_level,
        as_code(raw.fkl13) AS ward_class,
        as_code(raw.fkl14) AS discharge_status,
        as_code(raw.fkl31) AS tariff_region,
        as_icd(raw.fkl16) AS admission_diagnosis,
        as_icd(raw.fkl18) AS primary_diagnosis,
        as_icd(raw.fkl17a) AS primary_diagnosis_group,
        without_number(raw.fkl18a) AS primary_diagnosis_label,
        upper(without_number(raw.fkl19)) AS inacbg_code,
        without_number(raw.fkl19a) AS inacbg_description,
        without_number(raw.fkl30) AS procedures,
        as_amount(raw.fkl32) AS inacbg_tariff,
        as_amount(raw.fkl34) AS subacute_tariff,
        as_amount(raw.fkl37) AS procedure_tariff,
        as_amount(raw.fkl40) AS prosthesis_tariff,
        as_amount(raw.fkl43) AS investigation_tariff,
        as_amount(raw.fkl46) AS drug_tariff,
        as_amount(raw.fkl47) AS amount_claimed,
        as_amount(raw.fkl48) AS amount_paid
    FROM raw_visits AS raw
)

SELECT
    keyed_hash('patient', participant) AS patient_key,
    claim_id,
    admission_date,
    discharge_date,
    -- A column, as a comparison with run_parameters made later steps' plans expect a fiftieth of the visits.
    coalesce(discharge_date <= getvariable('data_date'), FALSE) AS known,
    province_code,
    regency_code,
    ownership_code,
    facility_type_code,
    facility_class_code,
    service_level,
    ward_class,
    discharge_status,
    tariff_region,
    admission_diagnosis,
    primary_diagnosis,
    primary_diagnosis_group,
    primary_diagnosis_label,
    inacbg_code,
    inacbg_description,
    procedures,
    plausible(inacbg_tariff) AS inacbg_tariff,
    coalesce(plausible(subacute_tariff), 0)
    + coalesce(plausible(procedure_tariff), 0)
    + coalesce(plausible(prosthesis_tariff), 0)
    + coalesce(plausible(investigation_tariff), 0)
    + coalesce(plausible(drug_tariff), 0) AS topup_amount,
    concat_ws(
        ';',
        upper(without_number(fkl33)),
        upper(without_number(fkl35)),
        upper(without_number(fkl38)),
        upper(without_number(fkl41)),
        upper(without_number(fkl44))
    ) AS topup_codes,
    CASE
        WHEN topup_amount > 0 OR topup_codes <> ''
            THEN [
                topup(fkl33, subacute_tariff),
                topup(fkl35, procedure_tariff),
                topup(fkl38, prosthesis_tariff),
                topup(fkl41, investigation_tariff),
                topup(fkl44, drug_tariff)
            ]
    END AS topups,
    plausible(amount_claimed) AS amount_claimed,
    plausible(amount_paid) AS amount_paid,
    concat_ws(
        '; ',
        CASE
            WHEN claim_id IS NULL THEN 'FKL02: missing claim id'
            WHEN length(claim_id) > 40 THEN 'FKL02: claim id longer than 40 characters'
        END,
        CASE WHEN participant IS NULL THEN 'PSTV01: missing participant number' END,
        bad_day('FKL03', fkl03, admission_date),
        bad_day('FKL04', fkl04, discharge_date),
        CASE
            WHEN discharge_date < admission_date THEN 'FKL04: discharge before admission'
            WHEN discharge_date - admission_date > 731 THEN 'FKL04: stay longer than two years'
        END,
        CASE
            WHEN service_level IN (1, 2) THEN NULL
            WHEN blank(fkl10) THEN 'FKL10: missing service level'
            ELSE 'FKL10: unknown service level (1 RJTL, 2 RITL)'
        END,
        CASE
            WHEN primary_diagnosis IS NOT NULL THEN NULL
            WHEN blank(fkl18) THEN 'FKL18: missing primary diagnosis'
            ELSE 'FKL18: not a diagnosis code'
        END,
        CASE
            WHEN regexp_full_match(inacbg_code, '[A-Z]-\d{1,2}-[0-9A-Z]{1,4}-(0|I|II|III)') THEN NULL
            WHEN blank(fkl19) THEN 'FKL19: missing INA-CBG code'
            ELSE 'FKL19: not an INA-CBG code (like A-4-14-I)'
        END,
        CASE WHEN amount_claimed IS NULL AND blank(fkl47) THEN 'FKL47: missing amount claimed' END,
        bad_amount('FKL47', fkl47, amount_claimed),
        bad_amount('FKL48', fkl48, amount_paid),
        bad_amount('FKL32', fkl32, inacbg_tariff),
        bad_amount('FKL34', fkl34, subacute_tariff),
        bad_amount('FKL37', fkl37, procedure_tariff),
        bad_amount('FKL40', fkl40, prosthesis_tariff),
        bad_amount('FKL43', fkl43, investigation_tariff),
        bad_amount('FKL46', fkl46, drug_tariff),
        bad_code('FKL05', fkl05, province_code),
        bad_code('FKL06', fkl06, regency_code),
        bad_code('FKL07', fkl07, ownership_code),
        bad_code('FKL08', fkl08, facility_type_code),
        bad_code('FKL09', fkl09, facility_class_code),
        bad_code('FKL13', fkl13, ward_class),
        bad_code('FKL14', fkl14, discharge_status),
        bad_code('FKL31', fkl31, tariff_region)
    ) AS reasons
FROM typed
