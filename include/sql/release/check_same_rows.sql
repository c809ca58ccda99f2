-- The scores' rows and their digest in each of the three places that hold them; all three must agree.
-- The digest adds a hash of every row, so the order does not matter. DuckDB's hash gives a missing list, an empty list
-- and a list of one NULL the same value, hence the list's length beside it.
WITH places AS (
    SELECT
        'table claims_ml_scores' AS place,
        claim_id,
        ml_score,
        ml_score_normalized,
        rule_score,
        risk_score,
        channels,
        excess_amount,
        flags,
        reasons,
        model_version,
        ruleset_version,
        data_date,
        scored_at
    FROM claims_ml_scores
    UNION ALL
    SELECT
        'Parquet file' AS place,
        claim_id,
        ml_score,
        ml_score_normalized,
        rule_score,
        risk_score,
        channels,
        excess_amount,
        flags,
        reasons,
        model_version,
        ruleset_version,
        data_date,
        scored_at
    FROM read_parquet($scores)
    UNION ALL
    SELECT
        'table claims_high_risk' AS place,
        claim_id,
        ml_score,
        ml_score_normalized,
        rule_score,
        risk_score,
        channels,
        excess_amount,
        flags,
        reasons,
        model_version,
        ruleset_version,
        data_date,
        scored_at
    FROM claims_high_risk
)

SELECT
    place,
    count(*) AS row_count,
    sum(
        hash(
            claim_id,
            ml_score,
            ml_score_normalized,
            rule_score,
            risk_score,
            channels,
            excess_amount,
            flags,
            len(flags),
            reasons,
            model_version,
            ruleset_version,
            data_date,
            scored_at
        )::HUGEINT
    ) AS digest
FROM places
GROUP BY place
ORDER BY place;
