-- claims_ml_scores: what is published. Grain: one row per claim, sorted by claim id.
-- Reasons: up to three, strongest first (a flag counts its weight, the forest its normalised score), as a JSON array.
-- Input: scored, raised_flags, ruleset_flags, ml_reasons, scoring_run (versions and dates, one row).
WITH all_reasons AS (
    SELECT
        raised_flags.claim_id,
        raised_flags.code,
        ruleset_flags.weight AS strength,
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
        text_id,
        text_en,
        figures::JSON AS figures
    FROM ml_reasons
),

ranked AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY claim_id ORDER BY strength DESC, code ASC) AS place
    FROM all_reasons
),

written AS (
    SELECT
        claim_id,
        '['
        || string_agg(
            json_object('code', code, 'text_id', text_id, 'text_en', text_en, 'figures', figures)::VARCHAR, ','
            ORDER BY place
        )
        || ']' AS reasons
    FROM ranked
    WHERE place <= 3
    GROUP BY claim_id
)

SELECT
    scored.claim_id,
    scored.ml_score,
    scored.ml_score_normalized,
    scored.rule_score,
    scored.risk_score,
    scored.flags,
    coalesce(written.reasons, '[]') AS reasons,
    scoring_run.model_version,
    scoring_run.ruleset_version,
    scoring_run.data_date,
    scoring_run.scored_at
FROM scored
CROSS JOIN scoring_run
LEFT JOIN written ON scored.claim_id = written.claim_id
ORDER BY scored.claim_id
