-- claims_ml_scores_backup: the scores that were live before this release, a full copy of its predecessor's Parquet.
-- Every column, whatever they were called when that one was made.
CREATE TABLE claims_ml_scores_backup AS
SELECT * FROM read_parquet($previous_scores);  -- noqa: AM04
