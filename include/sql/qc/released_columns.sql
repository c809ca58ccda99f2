-- What a release offers its readers. Grain: one row per column of a table or view of the database, or of the Parquet.
SELECT
    table_name,
    column_name
FROM duckdb_columns()
WHERE database_name = current_database() AND NOT internal
UNION ALL BY NAME
SELECT
    'claims_ml_scores.parquet' AS table_name,
    name AS column_name
FROM parquet_schema($parquet)
