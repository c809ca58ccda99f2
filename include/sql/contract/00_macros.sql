-- How the text of a raw field is read. Each macro gives NULL where the text does not hold such a value;
-- `blank` tells a missing value from an unreadable one. '.' and 'NaN' are how Stata and pandas write "missing".
CREATE OR REPLACE TEMP MACRO cleaned(field) AS
nullif(nullif(nullif(trim(field), ''), '.'), 'NaN');

CREATE OR REPLACE TEMP MACRO blank(field) AS
cleaned(field) IS NULL;

-- Whole numbers; '3.0' is how exports write a whole number in a column with gaps, '3.5' is an error.
CREATE OR REPLACE TEMP MACRO as_code(field) AS
CASE
    WHEN contains(field, '.') AND try_cast(field AS DOUBLE) <> floor(try_cast(field AS DOUBLE)) THEN NULL
    ELSE try_cast(cleaned(field) AS INTEGER)
END;

-- Rupiah, rounded to whole rupiah.
CREATE OR REPLACE TEMP MACRO as_amount(field) AS
try_cast(cleaned(field) AS BIGINT);

-- 2022-04-12, 2022-04-12 00:00:00, and Stata's own 12apr2022. Day/month/year with slashes is refused:
-- 03/04/2022 may be April or March.
CREATE OR REPLACE TEMP MACRO as_day(field) AS
coalesce(
    try_cast(cleaned(field) AS DATE),
    try_cast(try_cast(cleaned(field) AS TIMESTAMP) AS DATE),
    try_cast(try_strptime(cleaned(field), '%d%b%Y') AS DATE)
);

CREATE OR REPLACE TEMP MACRO unreadable_code(name, field) AS
CASE WHEN as_code(field) IS NULL AND NOT blank(field) THEN name || ': not a whole number' END;

CREATE OR REPLACE TEMP MACRO bad_amount(name, field) AS
CASE
    WHEN blank(field) THEN NULL
    WHEN as_amount(field) IS NULL THEN name || ': not a number'
    WHEN as_amount(field) < 0 THEN name || ': negative amount'
    WHEN as_amount(field) > 10000000000 THEN name || ': absurd amount (over 10 billion rupiah)'
END;

CREATE OR REPLACE TEMP MACRO bad_day(name, field) AS
CASE
    WHEN blank(field) THEN name || ': missing date'
    WHEN as_day(field) IS NULL THEN name || ': not a date'
    WHEN as_day(field) NOT BETWEEN DATE '2014-01-01' AND DATE '2099-12-31'
        THEN name || ': date outside the life of JKN (2014..2099)'
END;
