-- Size and score content of claims_high_risk, to compare with scores_totals.sql, and the means over all claims.
-- Grain: one row. Money in rupiah, LOS in days.
SELECT
    count(*) AS row_count,
    sum(
        hash(
            claim_id, ml_score, ml_score_normalized, rule_score, risk_score, channels, excess_amount,
            flags, reasons, model_version, ruleset_version, data_date
        )::HUGEINT
    ) AS content,
    avg(amount_claimed) AS amount_claimed_mean,
    avg(cost_zscore) FILTER (WHERE isfinite(cost_zscore)) AS cost_zscore_mean,
    avg((los <= 1)::TINYINT) AS los_le_1_ratio,
    list_max(map_values(histogram(coalesce(province_name, '')))) / count(*) AS largest_province_share
FROM claims_high_risk
