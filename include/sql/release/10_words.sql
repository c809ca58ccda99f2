-- WORD: every text that many claims share, as a type: a small number instead of the text while
-- claims_high_risk is sorted. In alphabetical order, so that it sorts as the texts do.
CREATE TYPE scratch.WORD AS ENUM ( -- noqa: PRS, CV07
    SELECT text
    FROM ( -- noqa: AL10
        SELECT DISTINCT facility_key AS text FROM claims
        UNION
        SELECT DISTINCT facility_key_source AS text FROM claims
        UNION
        SELECT DISTINCT service_type AS text FROM claims
        UNION
        SELECT DISTINCT severity_group AS text FROM claims
        UNION
        SELECT DISTINCT inacbg_code AS text FROM claims
        UNION
        SELECT DISTINCT inacbg_description AS text FROM claims
        UNION
        SELECT DISTINCT province_name AS text FROM claims
        UNION
        SELECT DISTINCT facility_ownership AS text FROM claims
        UNION
        SELECT DISTINCT facility_type AS text FROM claims
        UNION
        SELECT DISTINCT facility_class AS text FROM claims
        UNION
        SELECT DISTINCT primary_diagnosis AS text FROM claims
        UNION
        SELECT DISTINCT primary_diagnosis_group AS text FROM claims
        UNION
        SELECT DISTINCT primary_diagnosis_label AS text FROM claims
        UNION
        SELECT DISTINCT procedure_codes AS text FROM claims
        UNION
        SELECT DISTINCT admission_diagnosis AS text FROM claims
        UNION
        SELECT DISTINCT topup_codes AS text FROM claims
    )
    WHERE text IS NOT NULL
    ORDER BY text
)
