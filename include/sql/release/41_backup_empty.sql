-- claims_ml_scores_backup when nothing was live before: the same shape, no rows.
CREATE TABLE claims_ml_scores_backup AS
SELECT * FROM claims_ml_scores  -- noqa: AM04
WHERE FALSE;
