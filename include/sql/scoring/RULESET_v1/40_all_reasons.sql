-- Every reason of a claim: a flag counts its weight, the forest its normalised score.
-- Grain: one row per claim and reason. Input: raised_flags, ruleset_flags, ml_reasons.
CREATE OR REPLACE TEMP TABLE all_reasons AS
SELECT
    raised_flags.claim_id,
    raised_flags.code,
    ruleset_flags.weight AS strength,
    TRUE AS telling,
    FALSE AS needed,
    raised_flags.text_id,
    raised_flags.text_en,
    raised_flags.figures
FROM raised_flags
INNER JOIN ruleset_flags ON raised_flags.code = ruleset_flags.code
UNION ALL
SELECT
    claim_id,
    code,
    strength,
    TRUE AS telling,
    FALSE AS needed,
    text_id,
    text_en,
    figures::JSON AS figures
FROM ml_reasons
