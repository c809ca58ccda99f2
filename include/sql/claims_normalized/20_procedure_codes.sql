-- The ICD-9-CM codes in each distinct FKL30 text, without their dot (99.15 is 9915), sorted and joined by ';' ('' for
-- none).
-- Grain: one row per distinct text. FKL30 holds the procedures; FKL18A, often taken for them, is the diagnosis label.
-- A code begins the text or stands behind a separator, and has a blank and a dash behind it (9394 - label) or nothing.
-- The dash alone will do (9394-label) where there are three digits or four: labels hold commas and words like 24-hour.
CREATE OR REPLACE TABLE procedure_codes AS
WITH codes AS (
    SELECT
        procedures,
        list_sort(list_distinct(list_transform(
            regexp_extract_all(
                regexp_replace(
                    -- Separators doubled: a match takes the one before and the one after its code.
                    replace(replace(procedures, ';', ';;'), ',', ',,'),
                    '(^|[;,])\s*([0-9]{2}\.?[0-9]{1,2})-',
                    '\1\2 -',
                    'g'
                ),
                '(?:^|[;,])\s*([0-9]{2,4}(?:\.[0-9]{1,2})?)(?:\s+-|\s*[;,]|\s*$)',
                1
            ),
            LAMBDA code: replace(code, '.', '')
        ))) AS listed
    FROM (SELECT DISTINCT procedures FROM known_visits) AS texts
)

SELECT
    procedures,
    array_to_string(listed, ';') AS codes,
    len(listed)::SMALLINT AS procedure_count
FROM codes
WHERE procedures IS NOT NULL
