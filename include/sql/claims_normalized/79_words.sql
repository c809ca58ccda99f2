-- What a text of claims_normalized can be: a type for each column that repeats its texts. While the claims are sorted
-- and written, a claim holds a small number instead of the text; in the file, and for all who read it, it is a text.
-- In alphabetical order, so that the numbers sort as the texts do.
-- noqa: disable=CV07
CREATE OR REPLACE TYPE NAME AS ENUM (
    SELECT label FROM code_labels
    UNION
    SELECT 'Tidak diketahui'
    ORDER BY label
);
CREATE OR REPLACE TYPE SEVERITY AS ENUM (
    SELECT DISTINCT severity_group FROM care
    ORDER BY severity_group
);
CREATE OR REPLACE TYPE FACILITY AS ENUM (
    SELECT DISTINCT facility_key FROM care
    ORDER BY facility_key
);
CREATE OR REPLACE TYPE INACBG AS ENUM (
    SELECT DISTINCT inacbg_code FROM care
    ORDER BY inacbg_code
);
CREATE OR REPLACE TYPE INACBG_DESCRIPTION AS ENUM (
    SELECT DISTINCT inacbg_description FROM visits
    WHERE inacbg_description IS NOT NULL
    ORDER BY inacbg_description
);
CREATE OR REPLACE TYPE DIAGNOSIS AS ENUM (
    SELECT primary_diagnosis AS diagnosis FROM care
    UNION
    SELECT admission_diagnosis FROM care
    WHERE admission_diagnosis IS NOT NULL
    ORDER BY diagnosis
);
CREATE OR REPLACE TYPE DIAGNOSIS_GROUP AS ENUM (
    SELECT DISTINCT coalesce(primary_diagnosis_group, left(primary_diagnosis, 3)) AS diagnosis_group FROM visits
    ORDER BY diagnosis_group
);
CREATE OR REPLACE TYPE DIAGNOSIS_LABEL AS ENUM (
    SELECT DISTINCT primary_diagnosis_label FROM visits
    WHERE primary_diagnosis_label IS NOT NULL
    ORDER BY primary_diagnosis_label
);
CREATE OR REPLACE TYPE TOPUP_CODES AS ENUM (
    SELECT DISTINCT topup_codes FROM care
    ORDER BY topup_codes
);
CREATE OR REPLACE TYPE TOPUP_CODE AS ENUM (
    SELECT DISTINCT topup_code FROM topup_peers
    ORDER BY topup_code
);
CREATE OR REPLACE TYPE TOPUP_DIAGNOSIS AS ENUM (
    SELECT DISTINCT topup_diagnosis FROM topup_peers
    WHERE topup_diagnosis IS NOT NULL
    ORDER BY topup_diagnosis
);
CREATE OR REPLACE TYPE TOPUP_PROCEDURE AS ENUM (
    SELECT DISTINCT topup_procedure FROM topup_peers
    WHERE topup_procedure IS NOT NULL
    ORDER BY topup_procedure
);
