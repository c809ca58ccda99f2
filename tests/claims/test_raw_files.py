"""Every format gives the same claims; a file that cannot be used is refused with its name and what to do."""

from __future__ import annotations

import gzip
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml.claims import stata
from ml.claims.contract import check_contract
from ml.claims.raw_files import FORMATS, RawInputError
from tests.claims.conftest import DATA_DATE, claim, diagnosis


def visits(settings, tmp_path: Path) -> list[tuple]:
    database = tmp_path / "build" / "warehouse.duckdb"
    check_contract(settings, DATA_DATE, database, "test")
    with duckdb.connect(str(database), read_only=True) as connection:
        return connection.sql("SELECT * FROM visits ORDER BY claim_id").fetchall()


@pytest.mark.parametrize("ending", FORMATS)
def test_every_format_gives_the_same_claims(raw_files, make_settings, tmp_path, ending) -> None:
    rows = [claim(n, FKL04=f"2022-09-0{n + 2}", FKL32="", FKL48="2500000") for n in range(5)]
    rows[0]["FKL32"] = "1234567"
    raw = raw_files(rows, [diagnosis(1), diagnosis(2)], ending=".csv")
    expected = visits(make_settings(), tmp_path)
    for path in raw.iterdir():
        path.unlink()
    raw_files(rows, [diagnosis(1), diagnosis(2)], ending=ending)
    assert visits(make_settings(), tmp_path) == expected


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_columns_in_any_case_and_order_with_extra_ones(raw_files, make_settings, tmp_path, delimiter) -> None:
    rows = [claim(n) for n in range(4)]
    raw = raw_files(rows)
    expected = visits(make_settings(), tmp_path)
    names = [*reversed(rows[0]), "NOTE"]
    lines = [delimiter.join(f" {name.lower()} " for name in names)]
    lines += [delimiter.join([*(row[name] for name in names[:-1]), "x"]) for row in rows]
    (raw / "2022_fkrtl.csv").write_bytes(("\ufeff" + "\r\n".join(lines) + "\r\n").encode())
    assert visits(make_settings(), tmp_path) == expected


def test_stata_dates_as_text_are_understood(raw_files, make_settings, tmp_path) -> None:
    raw_files([claim(1, FKL03="01sep2022", FKL04="04SEP2022")])
    assert [str(day) for day in visits(make_settings(), tmp_path)[0][2:4]] == ["2022-09-01", "2022-09-04"]


def refused(settings, tmp_path: Path) -> str:
    with pytest.raises(RawInputError) as caught:
        visits(settings, tmp_path)
    return str(caught.value)


def test_missing_folder_file_and_column(raw_files, make_settings, tmp_path) -> None:
    settings = make_settings()
    assert "no such folder" in refused(settings, tmp_path)
    raw = raw_files([claim(1)])
    (raw / "2022_diagnosissekunder.csv").unlink()
    assert "no file matches *diagnosissekunder*" in refused(settings, tmp_path)
    raw_files([{name: value for name, value in claim(1).items() if name not in ("FKL47", "FKL19")}])
    message = refused(settings, tmp_path)
    assert "2022_fkrtl.csv: missing column FKL19 (INA-CBG code), FKL47 (amount claimed)" in message


def test_two_matching_files(raw_files, make_settings, tmp_path) -> None:
    raw = raw_files([claim(1)])
    (raw / "old_FKRTL.csv").write_text("x")
    assert "more than one file matches *fkrtl*: 2022_fkrtl.csv, old_FKRTL.csv" in refused(make_settings(), tmp_path)


def test_repeated_column(raw_files, make_settings, tmp_path) -> None:
    raw = raw_files([claim(1)])
    path = raw / "2022_fkrtl.csv"
    header, rest = path.read_text().split("\n", 1)
    path.write_text(header + ",fkl47\n" + rest.rstrip("\n") + ",1\n")
    assert "column FKL47 appears more than once" in refused(make_settings(), tmp_path)


def test_empty_files(raw_files, make_settings, tmp_path) -> None:
    raw = raw_files([claim(1)])
    path = raw / "2022_fkrtl.csv"
    header = path.read_text().split("\n", 1)[0]
    path.write_text("")
    assert "2022_fkrtl.csv: the file is empty" in refused(make_settings(), tmp_path)
    path.write_text(header + "\n")
    assert "has a header but no rows" in refused(make_settings(), tmp_path)


@pytest.mark.parametrize("ending", FORMATS)
def test_a_truncated_file_is_refused(raw_files, make_settings, tmp_path, ending) -> None:
    raw = raw_files([claim(n) for n in range(400)], ending=ending)
    path = raw / f"2022_fkrtl{ending}"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    message = refused(make_settings(), tmp_path)
    assert path.name in message
    assert "truncated" in message


def test_a_gzip_cut_between_members_of_the_text_is_refused(raw_files, make_settings, tmp_path) -> None:
    raw = raw_files([claim(n) for n in range(10)], ending=".csv.gz")
    path = raw / "2022_fkrtl.csv.gz"
    text = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(text[:-100]))
    assert "ends in the middle of row 10" in refused(make_settings(), tmp_path)


@pytest.mark.parametrize(("opened", "closed"), [(3, None), (3, 6)])
def test_a_stray_quote_cannot_swallow_rows(raw_files, make_settings, tmp_path, opened: int, closed: int | None) -> None:
    raw = raw_files([claim(n) for n in range(200)])
    path = raw / "2022_fkrtl.csv"
    lines = path.read_text().splitlines()
    lines[opened] = lines[opened].replace(",Typhoid fever,", ',"Typhoid fever,', 1)
    if closed:
        lines[closed] = lines[closed].replace(",Typhoid fever,", ',Typhoid fever",', 1)
    path.write_text("\n".join(lines) + "\n")
    assert "stray quote" in refused(make_settings(), tmp_path)


def test_a_stata_file_cut_between_rows_is_refused(raw_files, make_settings, tmp_path, monkeypatch) -> None:
    raw_files([claim(n) for n in range(5)], ending=".dta")
    header = stata.pyreadstat.read_dta

    def promising_more(*arguments, **options):
        frame, meta = header(*arguments, **options)
        meta.number_rows = 6
        return frame, meta

    monkeypatch.setattr(stata.pyreadstat, "read_dta", promising_more)
    assert "holds 5 of the 6 rows its header promises" in refused(make_settings(), tmp_path)


@pytest.mark.parametrize(
    ("ending", "begin", "told"),
    [
        (".csv", b"\x1f\x8b\x08\x00", "2022_fkrtl.csv: compressed by gzip"),
        (".csv", b"PK\x03\x04\x14\x00", "2022_fkrtl.csv: a workbook"),
        (".csv", b"PAR1\x15\x04", "2022_fkrtl.csv: Parquet"),
        (
            ".csv.gz",
            gzip.compress(gzip.compress(b"FKL02\n", mtime=0), mtime=0),
            "2022_fkrtl.csv.gz: compressed by gzip",
        ),
    ],
)
def test_another_format_under_the_name_of_a_csv_is_named(
    raw_files, make_settings, tmp_path, ending: str, begin: bytes, told: str
) -> None:
    (raw_files([claim(1)], ending=ending) / f"2022_fkrtl{ending}").write_bytes(begin)
    assert told in refused(make_settings(), tmp_path)


def test_utf16_and_nested_columns_are_named(raw_files, make_settings, tmp_path) -> None:
    raw = raw_files([claim(1)])
    path = raw / "2022_fkrtl.csv"
    path.write_text(path.read_text(), encoding="utf-16")
    assert "written in UTF-16" in refused(make_settings(), tmp_path)
    path.unlink()
    raw_files([claim(1)], ending=".parquet")
    (raw / "2022_diagnosissekunder.csv").unlink()
    table = pq.read_table(raw / "2022_fkrtl.parquet")
    index = table.column_names.index("FKL18")
    nested = table.set_column(index, "FKL18", pa.array([["A010"]]))
    pq.write_table(nested, raw / "2022_fkrtl.parquet")
    assert "column FKL18 holds list" in refused(make_settings(), tmp_path)


def test_moments_with_a_timezone_are_jakarta_days(raw_files, make_settings, tmp_path) -> None:
    raw = raw_files([claim(1)], ending=".parquet")
    path = raw / "2022_fkrtl.parquet"
    table = pq.read_table(path)
    moment = datetime(2022, 8, 31, 17, 30, tzinfo=UTC)  # 00:30 on 1 September in Jakarta
    index = table.column_names.index("FKL03")
    pq.write_table(table.set_column(index, "FKL03", pa.array([moment], pa.timestamp("us", "UTC"))), path)
    assert str(visits(make_settings(), tmp_path)[0][2]) == "2022-09-01"


@pytest.mark.parametrize("ending", [".csv", ".dta"])
@pytest.mark.parametrize("written", ["2022-08-31 17:30:00+00:00", "2022-08-31T17:30:00Z"])
def test_moments_written_as_text_are_jakarta_days_too(raw_files, make_settings, tmp_path, ending, written) -> None:
    raw = raw_files([claim(1, FKL03=written)])
    if ending == ".dta":
        path = raw / "2022_fkrtl.csv"
        pd.read_csv(path, dtype=str, keep_default_na=False).to_stata(path.with_suffix(ending), write_index=False)
        path.unlink()
    assert str(visits(make_settings(), tmp_path)[0][2]) == "2022-09-01"


def test_a_file_that_is_not_what_its_ending_says(raw_files, make_settings, tmp_path) -> None:
    raw = raw_files([claim(1)], ending=".parquet")
    (raw / "2022_fkrtl.parquet").write_text("not parquet at all, but long enough to be read")
    assert "2022_fkrtl.parquet: cannot be read to its end" in refused(make_settings(), tmp_path)


def test_wrong_type_of_a_whole_column_names_the_column(raw_files, make_settings, tmp_path) -> None:
    raw = raw_files([claim(n) for n in range(5)], ending=".parquet")
    path = raw / "2022_fkrtl.parquet"
    table = pq.read_table(path)
    index = table.column_names.index("FKL47")
    pq.write_table(table.set_column(index, "FKL47", table.column("FKL19")), path)
    assert "FKL47: not a number (5 rows, e.g. row 1: 'A-4-14-I')" in refused(make_settings(), tmp_path)


def test_a_night_without_stata_files_does_not_wait_for_pandas() -> None:
    loaded = "import sys, ml.claims.etl; print('pandas' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert answer.stdout == "False\n"
