-- Rows and digest of the backup table and of the Parquet file it was copied from; both must agree.
-- The digest is that of check_same_rows.sql.
WITH places AS (
    SELECT
        'table claims_ml_scores_backup' AS place,
        hash(backup, len(backup.flags)) AS row_hash
    FROM claims_ml_scores_backup AS backup
    UNION ALL
    SELECT
        'Parquet file of the previous release' AS place,
        hash(previous, len(previous.flags)) AS row_hash
    FROM read_parquet($previous_scores) AS previous
)

SELECT
    place,
    count(*) AS row_count,
    sum(row_hash::HUGEINT) AS digest
FROM places
GROUP BY place
ORDER BY place;
