-- A claim with a flag has a rule_score and a reason, and by RULESET_v1 one with a rule_score has a flag.
SELECT
    claim_id,
    format('rule {} with {} flags and reasons {}', rule_score, len(flags), reasons) AS finding
FROM candidate
WHERE
    (len(flags) > 0 AND NOT rule_score > 0)
    OR (ruleset_version = 'RULESET_v1' AND rule_score > 0 AND len(flags) = 0)
    OR (len(flags) > 0 AND NOT coalesce(json_array_length(reasons) > 0, FALSE))
    OR NOT coalesce(json_valid(reasons), FALSE)
