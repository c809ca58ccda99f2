-- The days of the file, without the first and the last hundredth of its claims, as one stray date would make it years.
-- Grain: one row.
CREATE OR REPLACE TABLE file_period AS
SELECT
    quantile_disc(admission_date, 0.01) AS first_day,
    quantile_disc(admission_date, 0.99) AS last_day,
    last_day - first_day + 1 AS days
FROM care
