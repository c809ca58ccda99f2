-- RULESET_v1: risk_score = max(rule_score, ml_score_normalized). Any other ruleset: rule_score is the typologies' part
-- of it, and is 0 exactly where no typology has any evidence.
SELECT
    candidate.claim_id,
    format(
        'risk {} with rule {} and model {}',
        candidate.risk_score,
        candidate.rule_score,
        candidate.ml_score_normalized
    ) AS finding
FROM candidate
WHERE
    (
        candidate.ruleset_version = 'RULESET_v1'
        AND candidate.risk_score <> greatest(candidate.rule_score, candidate.ml_score_normalized)
    )
    OR (
        candidate.ruleset_version <> 'RULESET_v1'
        AND (
            candidate.risk_score < candidate.rule_score
            OR (candidate.rule_score > 0) <> (
                greatest(
                    candidate.channels.upcoding,
                    candidate.channels.inflated_bill,
                    candidate.channels.short_stay,
                    candidate.channels.topup,
                    candidate.channels.repeat,
                    candidate.channels.fragmentation,
                    candidate.channels.overlap,
                    candidate.channels.clone,
                    candidate.channels.single_visit
                ) > 0
            )
        )
    )
