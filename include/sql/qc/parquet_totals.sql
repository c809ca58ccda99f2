-- Size and content of claims_ml_scores.parquet, to compare with scores_totals.sql. Grain: one row.
SELECT
    count(*) AS row_count,
    sum(
        hash(
            claim_id, ml_score, ml_score_normalized, rule_score, risk_score, channels, excess_amount,
            flags, reasons, model_version, ruleset_version, data_date
        )::HUGEINT
    ) AS content
FROM read_parquet($parquet)
