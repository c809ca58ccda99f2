-- The reasons of each claim that has any: up to three, strongest first, as a JSON array. Grain: one row per claim.
-- A fact that is usual among the peers is told only where it is the strongest or flagged (the provider's habit raised
-- it). What must be told (`needed`) takes the third place where three others are stronger.
-- Input: all_reasons (claim_id, code, strength, telling, needed, text_id, text_en, figures).
WITH ranked AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY claim_id ORDER BY strength DESC, code ASC) AS place
    FROM all_reasons
),

told AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY claim_id ORDER BY needed DESC, place ASC) AS turn
    FROM ranked
    WHERE telling OR needed OR place = 1
)

SELECT
    claim_id,
    '['
    || string_agg(
        json_object('code', code, 'text_id', text_id, 'text_en', text_en, 'figures', figures::JSON)::VARCHAR, ','
        ORDER BY place
    )
    || ']' AS reasons
FROM told
WHERE turn <= 3
GROUP BY claim_id
