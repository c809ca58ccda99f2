-- The reasons of each claim that has any: up to three, strongest first, as a JSON array. Grain: one row per claim.
-- Input: all_reasons (claim_id, code, strength, text_id, text_en, figures).
WITH ranked AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY claim_id ORDER BY strength DESC, code ASC) AS place
    FROM all_reasons
)

SELECT
    claim_id,
    '['
    || string_agg(
        json_object('code', code, 'text_id', text_id, 'text_en', text_en, 'figures', figures::JSON)::VARCHAR, ','
        ORDER BY place
    )
    || ']' AS reasons
FROM ranked
WHERE place <= 3
GROUP BY claim_id
