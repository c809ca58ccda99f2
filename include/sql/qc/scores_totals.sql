-- Size, content and versions of the table claims_ml_scores. Grain: one row.
-- The content is a sum of row hashes, so that it does not depend on the order of the rows: it is compared with
-- parquet_totals.sql and high_risk_totals.sql, which hash the same columns.
-- A count of versions is 0 where a row has none.
SELECT
    count(*) AS row_count,
    sum(
        hash(
            claim_id, ml_score, ml_score_normalized, rule_score, risk_score, channels, excess_amount,
            flags, reasons, model_version, ruleset_version, data_date
        )::HUGEINT
    ) AS content,
    count(DISTINCT risk_score) AS distinct_risk_scores,
    count(*) FILTER (WHERE len(flags) > 0) AS flagged_rows,
    CASE WHEN count(model_version) = count(*) THEN count(DISTINCT model_version) ELSE 0 END AS model_versions,
    CASE WHEN count(ruleset_version) = count(*) THEN count(DISTINCT ruleset_version) ELSE 0 END AS ruleset_versions,
    CASE WHEN count(data_date) = count(*) THEN count(DISTINCT data_date) ELSE 0 END AS data_dates,
    max(model_version) AS model_version,
    max(ruleset_version) AS ruleset_version,
    max(data_date) AS data_date,
    max(scored_at) AS scored_at
FROM claims_ml_scores
