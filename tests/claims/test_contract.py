"""What breaks the contract goes to quarantine with its reason and its place; everything else is counted."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import duckdb
import pytest

from ml.claims.contract import ContractError, check_contract
from ml.claims.raw_files import RawInputError
from ml.settings import Settings
from ml.sql import sql_text
from tests.claims.conftest import DATA_DATE, claim, diagnosis

PLANTED = {
    "FKL02: missing claim id": {"FKL02": ""},
    "FKL02: claim id longer than 40 characters": {"FKL02": "9" * 41},
    "FKL02: duplicate claim id": {"FKL02": "81870922V000001"},
    "PSTV01: missing participant number": {"PSTV01": ""},
    "FKL03: missing date": {"FKL03": ""},
    "FKL03: not a date": {"FKL03": "03/04/2022"},
    "FKL03: date outside the life of JKN (2014..2099)": {"FKL03": "2013-12-31", "FKL04": "2014-01-02"},
    "FKL04: missing date": {"FKL04": ""},
    "FKL04: not a date": {"FKL04": "tomorrow"},
    "FKL04: discharge before admission": {"FKL04": "2022-08-31"},
    "FKL04: stay longer than two years": {"FKL03": "2020-01-01"},
    "FKL10: missing service level": {"FKL10": ""},
    "FKL10: unknown service level (1 RJTL, 2 RITL)": {"FKL10": "3"},
    "FKL18: missing primary diagnosis": {"FKL18": ""},
    "FKL19: missing INA-CBG code": {"FKL19": ""},
    "FKL19: not an INA-CBG code (like A-4-14-I)": {"FKL19": "A-4-14-IV"},
    "FKL47: missing amount claimed": {"FKL47": ""},
    "FKL47: not a number": {"FKL47": "Rp2.500.000"},
    "FKL47: thousands separators (192100 is meant to be written so)": {"FKL47": "192.100"},
    "FKL47: negative amount": {"FKL47": "-1"},
    "FKL47: absurd amount (over 10 billion rupiah)": {"FKL47": "10000000001"},
    "FKL48: not a number": {"FKL48": "x"},
    "FKL34: negative amount": {"FKL34": "-5"},
    "FKL05: not a whole number": {"FKL05": "Jawa"},
    "FKL09: not a whole number": {"FKL09": "7.5"},
    "FKL14: not a whole number": {"FKL14": "meninggal"},
}


def quarantined(settings: Settings) -> duckdb.DuckDBPyRelation:
    return duckdb.sql(f"FROM '{settings.quarantine}/{DATA_DATE}-test/fkrtl.parquet' ORDER BY source_row")


def check(settings: Settings, tmp_path: Path):
    return check_contract(settings, DATA_DATE, tmp_path / "build" / "warehouse.duckdb", "test")


def test_each_kind_of_bad_row_is_quarantined_with_its_reason_and_row(raw_files, make_settings, tmp_path) -> None:
    good = [claim(number) for number in range(100)]
    bad = [claim(1000 + index, **changes) for index, changes in enumerate(PLANTED.values())]
    rows = good[:50] + bad + good[50:]
    raw_files(rows)
    settings = make_settings(CLAIMS_MAX_BAD_SHARE="0.5")

    report = check(settings, tmp_path)

    found = quarantined(settings).fetchall()
    columns = quarantined(settings).columns
    by_row = {row[columns.index("source_row")]: row[columns.index("reasons")] for row in found}
    assert by_row == {51 + index: reason for index, reason in enumerate(PLANTED)}
    assert report.visits.rows == len(rows)
    assert report.visits.accepted == 100
    assert report.visits.quarantined == len(PLANTED)
    assert report.visits.reasons == dict.fromkeys(PLANTED, 1)


def test_a_row_with_several_faults_lists_them_all(raw_files, make_settings, tmp_path) -> None:
    raw_files([*(claim(n) for n in range(5)), claim(9, FKL03="", FKL47="-1")])
    settings = make_settings(CLAIMS_MAX_BAD_SHARE="0.5")
    check(settings, tmp_path)
    assert quarantined(settings).project("reasons").fetchall() == [("FKL03: missing date; FKL47: negative amount",)]


def test_what_stands_in_a_column_that_nothing_reads_does_not_matter(raw_files, make_settings, tmp_path) -> None:
    raw_files([claim(1, FKL11="x", FKL12="x", FKL15="x", FKL21="x", FKL23="x")])
    assert check(make_settings(), tmp_path).visits.accepted == 1


def test_codes_that_no_list_knows_are_told_and_accepted(raw_files, make_settings, tmp_path) -> None:
    raw_files(
        [claim(0), claim(1, FKL05="95"), claim(2, FKL05="95"), claim(3, FKL07="12", FKL08="3", FKL09="28")]
        + [claim(4, FKL05="9999", FKL07="98", FKL08="98", FKL09="98")]
        + [claim(n, FKL06="9998", FKL05=f"{1000 + n}") for n in range(5, 30)]
    )

    report = check(make_settings(), tmp_path)

    assert report.visits.accepted == 30
    assert report.unknown_codes.items() >= {"FKL05 = 95": 2, "FKL07 = 12": 1, "FKL08 = 3": 1, "FKL09 = 28": 1}.items()
    assert len(report.unknown_codes) == 4 + 25
    line = report.lines()[-1]
    assert line.startswith("Unknown codes, accepted and scored as 'Tidak diketahui': FKL05 = 95 (2 visits), ")
    assert " and 9 more. " in line


def test_malformed_lines_are_quarantined_and_later_rows_keep_their_number(raw_files, make_settings, tmp_path) -> None:
    raw = raw_files([claim(n) for n in range(10)] + [claim(20, FKL47="-1")])
    path = raw / "2022_fkrtl.csv"
    lines = path.read_text().splitlines()
    lines[3] = "only,three,fields"  # row 3
    lines[6] += ",one,too,many"  # row 6
    path.write_text("\n".join(lines) + "\n")
    settings = make_settings(CLAIMS_MAX_BAD_SHARE="0.5")

    report = check(settings, tmp_path)

    found = quarantined(settings).project("source_row, reasons").fetchall()
    assert [row for row, _ in found] == [3, 6, 11]
    assert found[0][1].startswith("malformed line")
    assert found[2][1] == "FKL47: negative amount"
    assert (report.visits.rows, report.visits.accepted, report.visits.quarantined) == (11, 8, 3)


def test_a_line_that_is_not_utf8_is_quarantined(raw_files, make_settings, tmp_path) -> None:
    raw = raw_files([claim(n) for n in range(5)])
    path = raw / "2022_fkrtl.csv"
    path.write_bytes(path.read_bytes().replace(b"81870922V000003", b"81870922V00000\xe9"))
    report = check(make_settings(CLAIMS_MAX_BAD_SHARE="0.5"), tmp_path)
    assert report.visits.reasons == {"malformed line": 1}
    assert quarantined(make_settings()).project("source_row").fetchall() == [(4,)]


def test_diagnoses_without_claim_are_quarantined(raw_files, make_settings, tmp_path) -> None:
    raw_files([claim(n) for n in range(3)], [diagnosis(1), diagnosis(2, ""), diagnosis(77)])
    settings = make_settings(CLAIMS_MAX_BAD_SHARE="0.9")
    report = check(settings, tmp_path)
    assert report.diagnoses.accepted == 1
    assert report.diagnoses.reasons == {"FKL02: no such claim in the fkrtl file": 1, "FKL24: missing diagnosis": 1}


def test_too_many_bad_rows_fail_and_name_column_row_and_value(raw_files, make_settings, tmp_path) -> None:
    raw_files([*(claim(n) for n in range(5)), claim(9, FKL47="Rp2.500.000")])
    with pytest.raises(ContractError) as caught:
        check(make_settings(), tmp_path)
    message = str(caught.value)
    assert "2022_fkrtl.csv: 1 of 6 rows break the contract; the limit is 1.00%" in message
    assert "FKL47: not a number (1 rows, e.g. row 6: 'Rp2.500.000')" in message


def test_an_export_without_its_amounts_is_refused(raw_files, make_settings, tmp_path) -> None:
    for billed, free in ((50, 50), (49, 50)):
        raw_files([*(claim(n) for n in range(billed)), *(claim(n, FKL47="0") for n in range(200, 200 + free))])
        check(make_settings(), tmp_path)
    raw_files([*(claim(n) for n in range(49)), *(claim(n, FKL47="0") for n in range(200, 251))])
    with pytest.raises(ContractError, match=r"2022_fkrtl.csv: FKL47, .* is 0 in 51 of 100 visits: the amounts were"):
        check(make_settings(), tmp_path)


@pytest.mark.parametrize(
    ("macro", "written", "value"),
    [
        *[("cleaned", text, None) for text in ("", "  ", "none", " NA ", "NaN", "<na>", ".", ".q", "\u00a0")],
        *[("cleaned", text, text.strip()) for text in (" 5 ", "x", "\u00a0x\u3000", "N/A?", ".ab", "0", ":")],
        *[("as_code", text, 3) for text in ("3", " 3", "3.0", "\u00a03 ", "3.")],
        *[("as_code", text, None) for text in ("3.5", "x", ".", "NONE", "", "99999999999")],
        *[
            ("as_amount", text, 192100)
            for text in ("192100", " 192100", "192100.4", "1.921e5", "\u00a0192100", "0000192100")
        ],
        *[("as_amount", text, None) for text in ("192.100", "192,100", "0x1F", "1_000", "NONE", "Rp 5", "01234567890")],
        *[("as_amount", text, 0) for text in ("0", " 0", "0.0")],
        *[("as_day", text, date(2022, 4, 12)) for text in ("2022-04-12", " 2022-04-12 00:00:00", "12apr2022")],
        *[("as_day", text, None) for text in ("03/04/2022", "2022-02-30", "NONE", "")],
    ],
)
def test_how_a_field_is_read(macro: str, written: str, value: object) -> None:
    with duckdb.connect() as connection:
        connection.execute(sql_text("contract/00_macros.sql"))
        query = f"SELECT {macro}(field) FROM (VALUES ($field)) AS fields(field)"
        assert connection.execute(query, {"field": written}).fetchall() == [(value,)]


@pytest.mark.parametrize(
    ("written_day", "times", "day"),
    [
        (11, [" 20:00:00+00:00", "T20:00:00Z", " 17:00+00", "T20:00:00.5+0000", " 20:00:00 UTC", " 17:00Z "], 12),
        (11, [" 12:00:00 -0500", "T23:59:59-07", " 20:00:0Z"], 12),
        (12, [" 00:00:00+0700", "T16:59:59Z", " 23:59+07:00"], 12),
        (13, [" 00:30:00+08:00", " 00:30:00 Asia/Makassar"], 12),
        (12, [" 23:59:59", "T20:00", " 20:00:00.25 ", " 24:00:00", " 11:00:00 PM", " 20:00:00 WIB"], 12),
        (12, [" 20:00:00 WITA", " 20:00:00 x", " 20:00:00 PM +00:00"], None),
    ],
)
def test_a_moment_is_a_jakarta_day_and_other_days_are_as_written(written_day: int, times: list[str], day: int) -> None:
    fields = [f"2022-04-{written_day}{time}" for time in times]
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'Asia/Jakarta'")
        connection.execute(sql_text("contract/00_macros.sql"))
        read = connection.execute(
            "SELECT field, as_day(field) FROM (SELECT unnest($fields) AS field)", {"fields": fields}
        )
        assert dict(read.fetchall()) == dict.fromkeys(fields, day and date(2022, 4, day))


def test_rows_that_were_corrected_leave_quarantine_when_a_run_is_cleared(raw_files, make_settings, tmp_path) -> None:
    settings = make_settings(CLAIMS_MAX_BAD_SHARE="0.9")
    raw_files([claim(1), claim(2), claim(3, FKL47="-1")], [diagnosis(1), diagnosis(77)])
    check(settings, tmp_path)
    assert len(list(settings.quarantine.rglob("*.parquet"))) == 2
    visits = settings.raw / "2022_fkrtl.csv"
    visits.write_bytes(visits.read_bytes()[:-200])
    with pytest.raises(RawInputError, match="truncated"):
        check(settings, tmp_path)
    assert len(list(settings.quarantine.rglob("*.parquet"))) == 2, "they are those of the claims that are published"
    raw_files([claim(1), claim(2), claim(3)], [diagnosis(1), diagnosis(77)])
    check(settings, tmp_path)
    assert [path.name for path in settings.quarantine.rglob("*.parquet")] == ["diagnosissekunder.parquet"]


def test_absurd_topups_send_the_row_to_quarantine(raw_files, make_settings, tmp_path) -> None:
    largest = "9223372036854775807"
    raw_files([*(claim(n) for n in range(3)), claim(9, FKL34=largest, FKL37=largest)])
    report = check(make_settings(CLAIMS_MAX_BAD_SHARE="0.5"), tmp_path)
    assert set(report.visits.reasons) == {f"FKL{n}: absurd amount (over 10 billion rupiah)" for n in (34, 37)}


def test_a_corrected_copy_of_a_bad_row_is_accepted(raw_files, make_settings, tmp_path) -> None:
    raw_files([claim(1, FKL47="-1"), claim(1), claim(1, FKL47="5")])
    report = check(make_settings(CLAIMS_MAX_BAD_SHARE="0.9"), tmp_path)
    assert report.visits.reasons == {"FKL02: duplicate claim id": 1, "FKL47: negative amount": 1}
    assert quarantined(make_settings()).project("source_row").fetchall() == [(1,), (3,)]


def test_row_numbers_are_right_where_several_threads_share_a_file(raw_files, make_settings, tmp_path) -> None:
    raw = raw_files([claim(1)])
    path = raw / "2022_fkrtl.csv"
    header, line = path.read_text().splitlines()
    lines = [line.replace("81870922V000001", f"81870922V{number:06d}") for number in range(130_000)]
    bad = range(999, 130_000, 1000)  # rows 1000, 2000, ...
    for index in bad:
        lines[index] = lines[index].replace(",2500000,", ",-1,")
    lines[99_500] = "only,three,fields"
    lines.insert(1, "")
    path.write_text("\n".join([header, *lines]) + "\n")
    assert path.stat().st_size > 32 << 20  # more than DuckDB hands to one thread at once

    report = check(make_settings(CLAIMS_THREADS="4", CLAIMS_MAX_BAD_SHARE="0.5"), tmp_path)

    assert report.visits.rows == 130_000
    found = quarantined(make_settings()).project("source_row, fkl02").fetchall()
    expected = [(index + 1, f"81870922V{index:06d}") for index in bad]
    assert [row for row in found if row[1]] == expected
    assert [row for row in found if not row[1]] == [(99_501, None)]


def test_blank_lines_are_no_rows(raw_files, make_settings, tmp_path) -> None:
    raw = raw_files([claim(n) for n in range(6)] + [claim(20, FKL47="-1")])
    path = raw / "2022_fkrtl.csv"
    lines = path.read_text().splitlines()
    lines[3] = "only,three,fields"  # row 3
    path.write_text("\n".join([*lines[:2], "", "", *lines[2:]]) + "\n")
    check(make_settings(CLAIMS_MAX_BAD_SHARE="0.9"), tmp_path)
    assert quarantined(make_settings()).project("source_row").fetchall() == [(3,), (7,)]


@pytest.mark.parametrize("missing", ["NA", "nan", "NULL", "N/A", ".", ".a", "NONE", "  "])
def test_every_way_to_write_missing(raw_files, make_settings, tmp_path, missing: str) -> None:
    raw_files([*(claim(n) for n in range(3)), claim(9, PSTV01=missing)])
    report = check(make_settings(CLAIMS_MAX_BAD_SHARE="0.5"), tmp_path)
    assert report.visits.reasons == {"PSTV01: missing participant number": 1}


def test_a_fraction_without_its_zero_is_not_missing(raw_files, make_settings, tmp_path) -> None:
    raw_files([*(claim(n) for n in range(3)), claim(9, FKL34=".5")])
    report = check(make_settings(CLAIMS_MAX_BAD_SHARE="0.5"), tmp_path)
    assert report.visits.reasons == {"FKL34: not a number": 1}
