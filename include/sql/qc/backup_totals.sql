-- Size and data date of the table with what was live before. Grain: one row.
SELECT
    count(*) AS row_count,
    max(data_date) AS data_date
FROM claims_ml_scores_backup
