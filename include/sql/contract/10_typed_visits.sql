-- The visits, typed, each with what breaks the contract ('': nothing does). The one scan of the raw file.
-- Grain: one row per parsed row of the raw file; row_no counts them from 1 in file order.
-- Input: view raw_visits (every column text). Temporary: it still holds the participant and family numbers.
CREATE OR REPLACE TEMP TABLE typed_visits AS
SELECT
    raw.row_no,
    raw.fkl02 AS claim_id,
    raw.pstv01,
    raw.pstv02,
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
    upper(raw.fkl16) AS admission_diagnosis,
    upper(raw.fkl18) AS primary_diagnosis,
    upper(raw.fkl17a) AS primary_diagnosis_group,
    raw.fkl18a AS primary_diagnosis_label,
    upper(raw.fkl19) AS inacbg_code,
    raw.fkl19a AS inacbg_description,
    raw.fkl30 AS procedures,
    as_amount(raw.fkl32) AS inacbg_tariff,
    coalesce(as_amount(raw.fkl34), 0)
    + coalesce(as_amount(raw.fkl37), 0)
    + coalesce(as_amount(raw.fkl40), 0)
    + coalesce(as_amount(raw.fkl43), 0)
    + coalesce(as_amount(raw.fkl46), 0) AS topup_amount,
    concat_ws(
        ';',
        upper(raw.fkl33),
        upper(raw.fkl35),
        upper(raw.fkl38),
        upper(raw.fkl41),
        upper(raw.fkl44)
    ) AS topup_codes,
    as_amount(raw.fkl47) AS amount_claimed,
    as_amount(raw.fkl48) AS amount_paid,
    concat_ws(
        '; ',
        CASE
            WHEN blank(raw.fkl02) THEN 'FKL02: missing claim id'
            WHEN length(raw.fkl02) > 40 THEN 'FKL02: claim id longer than 40 characters'
        END,
        CASE WHEN blank(raw.pstv01) THEN 'PSTV01: missing participant number' END,
        bad_day('FKL03', raw.fkl03),
        bad_day('FKL04', raw.fkl04),
        CASE
            WHEN as_day(raw.fkl04) < as_day(raw.fkl03) THEN 'FKL04: discharge before admission'
            WHEN as_day(raw.fkl04) - as_day(raw.fkl03) > 731 THEN 'FKL04: stay longer than two years'
        END,
        CASE
            WHEN blank(raw.fkl10) THEN 'FKL10: missing service level'
            WHEN coalesce(as_code(raw.fkl10) NOT IN (1, 2), TRUE) THEN 'FKL10: unknown service level (1 RJTL, 2 RITL)'
        END,
        CASE WHEN blank(raw.fkl18) THEN 'FKL18: missing primary diagnosis' END,
        CASE
            WHEN blank(raw.fkl19) THEN 'FKL19: missing INA-CBG code'
            WHEN NOT regexp_full_match(upper(raw.fkl19), '[A-Z]-\d{1,2}-[0-9A-Z]{1,4}-(0|I|II|III)')
                THEN 'FKL19: not an INA-CBG code (like A-4-14-I)'
        END,
        CASE WHEN blank(raw.fkl47) THEN 'FKL47: missing amount claimed' END,
        bad_amount('FKL47', raw.fkl47),
        bad_amount('FKL48', raw.fkl48),
        bad_amount('FKL32', raw.fkl32),
        bad_amount('FKL34', raw.fkl34),
        bad_amount('FKL37', raw.fkl37),
        bad_amount('FKL40', raw.fkl40),
        bad_amount('FKL43', raw.fkl43),
        bad_amount('FKL46', raw.fkl46),
        unreadable_code('FKL05', raw.fkl05),
        unreadable_code('FKL06', raw.fkl06),
        unreadable_code('FKL07', raw.fkl07),
        unreadable_code('FKL08', raw.fkl08),
        unreadable_code('FKL09', raw.fkl09),
        unreadable_code('FKL13', raw.fkl13),
        unreadable_code('FKL23', raw.fkl23),
        unreadable_code('FKL31', raw.fkl31)
    ) AS reasons
FROM raw_visits AS raw
