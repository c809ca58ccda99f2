-- Codes that no list knows, on accepted visits: the claims are scored, with 'Tidak diketahui' for the word. A province
-- founded since, or a column that slipped. 98, 9998 and 9999 are how the layout itself writes "unknown".
-- Grain: one row per field and code, the commonest first.
WITH written AS (
    SELECT
        kind,
        code,
        count(*) AS visits
    FROM visits
    UNPIVOT (
        code FOR kind IN (
            province_code AS province,
            ownership_code AS ownership,
            facility_type_code AS facility_type,
            facility_class_code AS facility_class
        )
    )
    WHERE code NOT IN (98, 9998, 9999)
    GROUP BY kind, code
)

SELECT
    written.kind,
    written.code,
    written.visits
FROM written
ANTI JOIN code_labels ON written.kind = code_labels.kind AND written.code = code_labels.code
ORDER BY written.visits DESC, written.kind ASC, written.code ASC
