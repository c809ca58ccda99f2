-- Size of the table with what was live before. Grain: one row.
SELECT count(*) AS row_count
FROM claims_ml_scores_backup
