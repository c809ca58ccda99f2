-- claims_ml_scores: what is published. Grain: one row per claim, in the order of the claims.
-- Input: scored, written_reasons, claims, scoring_run (versions, dates and an empty `channels`, one row).
SELECT
    scored.claim_id,
    scored.ml_score,
    scored.ml_score_normalized,
    scored.rule_score,
    scored.risk_score,
    scoring_run.channels,
    claims.excess_amount,
    scored.flags,
    coalesce(written_reasons.reasons, '[]') AS reasons,
    scoring_run.model_version,
    scoring_run.ruleset_version,
    scoring_run.data_date,
    scoring_run.scored_at
FROM scored
CROSS JOIN scoring_run
INNER JOIN claims ON scored.claim_id = claims.claim_id
LEFT JOIN written_reasons ON scored.claim_id = written_reasons.claim_id
ORDER BY claims.file_row_number
