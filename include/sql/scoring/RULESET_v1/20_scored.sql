-- risk_score = max(rule_score, ml_score_normalized). rule_score: the largest weight among the flags that hold, else 0;
-- ml_score_normalized: the min-max of ml_score over the run. Grain: one row per claim.
-- Input: ml_scores, raised_flags, ruleset_flags.
CREATE OR REPLACE TEMP TABLE scored AS
WITH bounds AS (
    SELECT
        min(ml_score) AS lowest,
        max(ml_score) AS highest
    FROM ml_scores
),

ruled AS (
    SELECT
        raised_flags.claim_id,
        max(ruleset_flags.weight) AS rule_score,
        list(raised_flags.code ORDER BY ruleset_flags.weight DESC, raised_flags.code ASC) AS flags
    FROM raised_flags
    INNER JOIN ruleset_flags ON raised_flags.code = ruleset_flags.code
    GROUP BY raised_flags.claim_id
),

normalized AS (
    SELECT
        ml_scores.claim_id,
        ml_scores.ml_score,
        coalesce((ml_scores.ml_score - bounds.lowest) / nullif(bounds.highest - bounds.lowest, 0), 0)
            AS ml_score_normalized
    FROM ml_scores
    CROSS JOIN bounds
)

SELECT
    normalized.claim_id,
    normalized.ml_score,
    normalized.ml_score_normalized,
    coalesce(ruled.rule_score, 0)::DOUBLE AS rule_score,
    greatest(coalesce(ruled.rule_score, 0), normalized.ml_score_normalized) AS risk_score,
    coalesce(ruled.flags, []) AS flags
FROM normalized
LEFT JOIN ruled ON normalized.claim_id = ruled.claim_id
