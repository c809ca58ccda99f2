-- claims_ml_scores: the scores of this release, one row a claim, column for column as in the Parquet file beside it.
CREATE TABLE claims_ml_scores AS
SELECT
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
FROM scores;
