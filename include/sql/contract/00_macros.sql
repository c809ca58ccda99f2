-- How the text of a raw field is read. `cleaned` is applied to every field once, in the view over the file; the other
-- macros take cleaned text and give NULL where it holds no such value, and `blank` tells a missing value from an
-- unreadable one. Stata, R, SAS and pandas each write "missing" in their own way; NONE is how the layout itself does.
CREATE OR REPLACE TEMP MACRO cleaned(field) AS
CASE
    WHEN ascii(field) BETWEEN 48 AND 57 THEN trim(field) -- begins with a digit, as nearly all do: nothing to look up
    WHEN length(field) <= 6 AND lower(trim(field)) IN ('', '.', 'nan', 'na', 'n/a', 'null', '<na>', 'none') THEN NULL
    WHEN length(field) = 2 AND starts_with(field, '.') THEN NULL -- Stata's .a to .z
    ELSE nullif(trim(field), '')
END;

CREATE OR REPLACE TEMP MACRO blank(field) AS
field IS NULL;

-- Whole numbers; '3.0' is how exports write a whole number in a column with gaps, '3.5' is an error.
CREATE OR REPLACE TEMP MACRO as_code(field) AS
CASE
    WHEN contains(field, '.') AND try_cast(field AS DOUBLE) <> floor(try_cast(field AS DOUBLE)) THEN NULL
    ELSE try_cast(field AS INTEGER)
END;

-- Rupiah, rounded to whole rupiah: 192100, 192100.0, 1.921e5. Not 192.100, which in Indonesia is 192100 and to a
-- computer is 192.
CREATE OR REPLACE TEMP MACRO as_amount(field) AS
CASE
    WHEN regexp_full_match(field, '-?\d+(\.\d{1,2})?|-?\d(\.\d+)?[eE]\+?\d+')
        THEN try_cast(field AS BIGINT)
END;

-- 2022-04-12, 2022-04-12 00:00:00, and Stata's own 12apr2022. Day/month/year with slashes is refused:
-- 03/04/2022 may be April or March.
CREATE OR REPLACE TEMP MACRO as_day(field) AS
coalesce(
    try_cast(field AS DATE),
    try_cast(try_cast(field AS TIMESTAMP) AS DATE),
    try_cast(try_strptime(field, '%d%b%Y') AS DATE)
);

CREATE OR REPLACE TEMP MACRO unreadable_code(name, field) AS
CASE WHEN as_code(field) IS NULL AND NOT blank(field) THEN name || ': not a whole number' END;

CREATE OR REPLACE TEMP MACRO bad_amount(name, field) AS
CASE
    WHEN blank(field) THEN NULL
    WHEN regexp_full_match(field, '-?\d{1,3}([.,]\d{3})+([.,]\d{1,2})?')
        THEN name || ': thousands separators (192100 is meant to be written so)'
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
