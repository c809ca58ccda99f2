-- How the text of a raw field is read. All macros take the field as it stands in the file. `cleaned` gives NULL for a
-- missing value: Stata, R, SAS and pandas each write it in their own way, and NONE is how the layout itself does. The
-- others give NULL where the field holds no such value; `blank` tells a missing value from an unreadable one.
-- Each looks at the plain case first, as trimming and patterns cost more than reading the file. No IN lists: DuckDB
-- makes a join of each, and a join loses the order of the rows.
CREATE OR REPLACE TEMP MACRO plain(field) AS -- trim() looks at every character, and knows blanks beyond ASCII's
NOT ends_with(field, ' ') AND strlen(field) = length(field);

CREATE OR REPLACE TEMP MACRO cleaned(field) AS
CASE
    WHEN field = 'NONE' THEN NULL
    WHEN field BETWEEN '0' AND ':' THEN trim(field) -- begins with a digit: nothing to look up
    -- As the first letter of none of them: a code (A09) or a label, and no blanks to look for.
    WHEN (field BETWEEN 'A' AND 'N' OR field BETWEEN 'O' AND '[') AND plain(field) THEN field
    WHEN strlen(field) <= 6 AND regexp_full_match(lower(trim(field)), '|\.|nan|na|n/a|null|<na>|none') THEN NULL
    WHEN strlen(field) = 2 AND lower(field) BETWEEN '.a' AND '.z' THEN NULL -- Stata's
    ELSE nullif(trim(field), '')
END;

CREATE OR REPLACE TEMP MACRO blank(field) AS
cleaned(field) IS NULL;

-- A text that may be kept: NULL where eleven digits stand in a row, as in a participant's number (13) or a family's
-- (16) that has slipped there. No code or label has so many.
CREATE OR REPLACE TEMP MACRO without_number(field) AS
CASE
    WHEN strlen(field) < 11 THEN cleaned(field)
    WHEN NOT regexp_matches(field, '\d{11}') THEN cleaned(field)
END;

-- ICD codes without their dot, with which some write them: A09.9 is A099.
CREATE OR REPLACE TEMP MACRO as_icd(field) AS
CASE
    WHEN contains(field, '.') THEN nullif(replace(upper(without_number(field)), '.', ''), '')
    ELSE upper(without_number(field))
END;

-- Whole numbers; '3.0' is how exports write a whole number in a column with gaps, '3.5' is an error.
CREATE OR REPLACE TEMP MACRO as_code(field) AS
CASE
    WHEN NOT contains(field, '.') THEN coalesce(try_cast(field AS INTEGER), try_cast(cleaned(field) AS INTEGER))
    WHEN try_cast(cleaned(field) AS DOUBLE) <> floor(try_cast(cleaned(field) AS DOUBLE)) THEN NULL
    ELSE try_cast(cleaned(field) AS INTEGER)
END;

-- Rupiah, rounded to whole rupiah: 192100, 192100.0, 1.921e5. Not 192.100, which in Indonesia is 192100 and to a
-- computer is 192. A zero before ten digits or more begins a participant's number, not an amount.
CREATE OR REPLACE TEMP MACRO written_as_amount(field) AS
regexp_full_match(field, '-?(\d{1,10}|[1-9]\d*)(\.\d{1,2})?|-?\d(\.\d+)?[eE]\+?\d+');

CREATE OR REPLACE TEMP MACRO as_amount(field) AS
CASE
    WHEN field = '0' THEN 0 -- as are nearly all top-ups
    WHEN written_as_amount(field) THEN try_cast(field AS BIGINT)
    WHEN written_as_amount(cleaned(field)) THEN try_cast(cleaned(field) AS BIGINT)
END;

-- Whether something like a timezone stands behind a time of day: +00:00, Z, Asia/Makassar, or any word but AM, PM and
-- WIB, which is Jakarta's own.
CREATE OR REPLACE TEMP MACRO names_timezone(field) AS
strlen(field) > 10 AND contains(field, ':') AND NOT ends_with(field, ' 00:00:00') -- a day, as many exports write it
AND NOT regexp_full_match(field, '[^:]*(:[0-9.]+)+\s*(?i:AM|PM|WIB)?\s*');

-- The day of a moment in the connection's timezone; NULL where DuckDB does not know the timezone.
CREATE OR REPLACE TEMP MACRO day_of_moment(field) AS
try_cast(
    coalesce(
        try_cast(field AS TIMESTAMPTZ),
        try_cast(regexp_replace(cleaned(field), '\s+([-+])', '\1') AS TIMESTAMPTZ) -- 20:00:00 +0000
    ) AS DATE
);

-- 2022-04-12, 2022-04-12 00:00:00, and Stata's own 12apr2022. Day/month/year with slashes is refused:
-- 03/04/2022 may be April or March. A moment with a timezone comes first: a cast to DATE would give the day
-- that is written there, whatever the timezone.
CREATE OR REPLACE TEMP MACRO as_day(field) AS
CASE
    WHEN names_timezone(field) THEN day_of_moment(field)
    ELSE coalesce(
        try_cast(field AS DATE),
        try_cast(cleaned(field) AS DATE),
        try_cast(try_cast(cleaned(field) AS TIMESTAMP) AS DATE),
        try_cast(try_strptime(cleaned(field), '%d%b%Y') AS DATE)
    )
END;

-- What is wrong with a field, NULL when nothing is: `field` as it stands in the file, and what was read from it.
CREATE OR REPLACE TEMP MACRO bad_code(name, field, code) AS
CASE WHEN code IS NULL AND NOT blank(field) THEN name || ': not a whole number' END;

-- An amount that may be kept: within the bounds of bad_amount.
CREATE OR REPLACE TEMP MACRO plausible(amount) AS
CASE WHEN amount BETWEEN 0 AND 10000000000 THEN amount END;

CREATE OR REPLACE TEMP MACRO bad_amount(name, field, amount) AS
CASE
    WHEN amount BETWEEN 0 AND 10000000000 THEN NULL
    WHEN amount < 0 THEN name || ': negative amount'
    WHEN amount > 10000000000 THEN name || ': absurd amount (over 10 billion rupiah)'
    WHEN blank(field) THEN NULL
    WHEN regexp_full_match(cleaned(field), '-?\d{1,3}([.,]\d{3})+([.,]\d{1,2})?')
        THEN name || ': thousands separators (192100 is meant to be written so)'
    ELSE name || ': not a number'
END;

CREATE OR REPLACE TEMP MACRO bad_day(name, field, day) AS
CASE
    WHEN day BETWEEN DATE '2014-01-01' AND DATE '2099-12-31' THEN NULL
    WHEN day IS NOT NULL THEN name || ': date outside the life of JKN (2014..2099)'
    WHEN blank(field) THEN name || ': missing date'
    ELSE name || ': not a date'
END;

-- A participant's number as exports write it: blanks around it and a trailing '.0' do not matter.
CREATE OR REPLACE TEMP MACRO bare_number(number) AS
CASE
    WHEN regexp_full_match(number, '[0-9A-Za-z]+') THEN number
    ELSE regexp_replace(
        regexp_replace(number, '^[\s\x0b\x1c-\x1f\x85\pZ]+|[\s\x0b\x1c-\x1f\x85\pZ]+$', '', 'g'), '\.0$', ''
    )
END;

-- The first 128 bits of HMAC-SHA256 in hex; RFC 2104 allows truncation to half the hash. ml.claims.keys sets the pads.
CREATE OR REPLACE TEMP MACRO keyed_hash(kind, number) AS
left(
    sha256(
        getvariable('outer_pad')
        || unhex(sha256(getvariable('inner_pad') || encode(kind || ':' || bare_number(number))))
    ),
    32
);

-- A special-CMG top-up of a claim: its code (NONE where there is none) and its tariff.
CREATE OR REPLACE TEMP MACRO topup(field, rupiah) AS
struct_pack(code := coalesce(upper(without_number(field)), 'NONE'), amount := plausible(rupiah));
