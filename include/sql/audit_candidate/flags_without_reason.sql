-- A claim has a flag exactly if its rules scored, and a reason if it has a flag.
SELECT
    claim_id,
    format('rule {} with {} flags and reasons {}', rule_score, len(flags), reasons) AS finding
FROM candidate
WHERE
    (rule_score > 0) <> (len(flags) > 0)
    OR (len(flags) > 0 AND NOT coalesce(json_array_length(reasons) > 0, FALSE))
    OR NOT coalesce(json_valid(reasons), FALSE)
