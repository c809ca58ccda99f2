"""Participant numbers become keys, and stand nowhere else, also where fields have slipped."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from ml.claims.contract import ContractError
from ml.settings import Settings, SettingsError
from tests.claims.conftest import DATA_DATE, claim, diagnosis
from tests.claims.test_contract import check, quarantined


def test_personal_numbers_are_in_neither_warehouse_nor_quarantine_nor_message(
    raw_files: Callable[..., Path], make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    number = "7777000011112222"
    raw_files([*(claim(n) for n in range(3)), claim(9, PSTV01=number, PSTV02=number, FKL47="-1")])
    settings = make_settings(CLAIMS_MAX_BAD_SHARE="0.5")
    check(settings, tmp_path)
    assert number.encode() not in (tmp_path / "build" / "warehouse.duckdb").read_bytes()
    table = pq.read_table(settings.quarantine / f"{DATA_DATE}-test" / "fkrtl.parquet")
    assert not {"pstv01", "pstv02"} & {name.lower() for name in table.column_names}
    assert number not in str(table.to_pylist())


def test_same_number_same_key_whatever_the_format(raw_files, make_settings, tmp_path) -> None:
    keys = {}
    for ending in (".csv", ".parquet", ".dta"):
        raw = raw_files([claim(n) for n in range(4)], ending=ending)
        check(make_settings(), tmp_path)
        with duckdb.connect(str(tmp_path / "build" / "warehouse.duckdb"), read_only=True) as connection:
            keys[ending] = connection.sql("SELECT claim_id, patient_key FROM visits ORDER BY 1").fetchall()
        for path in raw.iterdir():
            path.unlink()
    assert keys[".csv"] == keys[".parquet"] == keys[".dta"]
    assert all(key and len(key) == 32 for _, key in keys[".csv"])


@pytest.mark.parametrize(
    "written",
    ["1234", "1234.0", " 1234 ", "1234.0 ", "1234\t", "\u00a01234", "\u20281234.0\x1c", "\x851234"],
)
def test_a_key_is_the_hmac_of_the_bare_number(raw_files, make_settings, tmp_path, written: str) -> None:
    raw_files([claim(1, PSTV01=written, PSTV02=written)])
    secret = "s" * 100  # longer than a block of SHA-256
    check(make_settings(CLAIMS_PATIENT_KEY_SECRET=secret), tmp_path)
    with duckdb.connect(str(tmp_path / "build" / "warehouse.duckdb"), read_only=True) as connection:
        ((key,),) = connection.sql("SELECT patient_key FROM visits").fetchall()
    assert key == hmac.digest(secret.encode(), b"patient:1234", "sha256").hex()[:32]


def test_numbers_are_not_quarantined_either_when_fields_have_slipped(raw_files, make_settings, tmp_path) -> None:
    raw = raw_files([*(claim(n) for n in range(3)), claim(9, PSTV01="7777000011112222", PSTV02="8888000011112222")])
    path = raw / "2022_fkrtl.csv"
    head, last = path.read_text().rstrip("\n").rsplit("\n", 1)
    path.write_text(f"{head}\nx,{last.rsplit(',', 1)[0]}\n")
    check(make_settings(CLAIMS_MAX_BAD_SHARE="0.9"), tmp_path)
    kept = str(quarantined(make_settings()).fetchall())
    assert "7777000011112222" not in kept
    assert "8888000011112222" not in kept


@pytest.mark.parametrize("after", ["FKL15A", "FKL47", "FKL19A", "FKL32"])
@pytest.mark.parametrize("slipped_by", [1, 2])
def test_a_slipped_number_is_kept_nowhere_whatever_the_order_of_the_columns(
    raw_files: Callable[..., Path], make_settings: Callable[..., Settings], tmp_path: Path, after: str, slipped_by: int
) -> None:
    """Numbers of 13 digits (the first two are zeros, so that they could be amounts) and short ones."""
    numbers = ["0077770111122", "7777000011112222", "88881"]
    rows = [*(claim(n) for n in range(3)), *(claim(90 + n, PSTV01=number) for n, number in enumerate(numbers))]
    order = [name for name in rows[0] if name != "PSTV01"]
    order.insert(order.index(after) + 1, "PSTV01")
    place = order.index("PSTV01")
    raw = raw_files(rows)
    lines = [[row[name] for name in order] for row in rows]
    for line in lines[3:]:
        line[:] = [*line[: place - 1], *["x"] * slipped_by, *line[place - 1 : -slipped_by]]
    (raw / "2022_fkrtl.csv").write_text("".join(",".join(line) + "\n" for line in [order, *lines]))

    with pytest.raises(ContractError) as refused:
        check(make_settings(CLAIMS_MAX_BAD_SHARE="0"), tmp_path)
    with duckdb.connect(str(tmp_path / "build" / "warehouse.duckdb"), read_only=True) as connection:
        staged = str(connection.sql("FROM checked_visits").fetchall())
    kept = quarantined(make_settings())
    assert kept.project("source_row").fetchall() == [(4,), (5,), (6,)]
    for number in numbers:
        assert number not in str(refused.value)
        assert number not in str(kept.fetchall())
    for number in numbers[:2]:
        assert number.lstrip("0") not in staged
    slipped_past = {name.lower() for name in order[max(place - 2, 0) : place + 3]}
    assert {name.lower() for name in order} - set(kept.columns) == slipped_past | {"pstv02", "pstv15", "fkp02"}


def test_a_long_number_is_kept_as_a_claim_id_alone(raw_files, make_settings, tmp_path) -> None:
    number = "0077770111122"
    raw_files(
        [
            *(claim(n) for n in range(3)),
            claim(8, FKL02=number),
            claim(9, FKL02=f"{number}9", FKL16=number, FKL18=number),
            claim(10, FKL19=number, FKL30=f"8950 - {number}", FKL33=f"x{number}", FKL47=number, FKL48="10000000001"),
        ],
        [diagnosis(1), diagnosis(1, number)],
    )
    report = check(make_settings(CLAIMS_MAX_BAD_SHARE="0.9"), tmp_path)
    assert report.visits.reasons == dict.fromkeys(
        (
            "FKL18: not a diagnosis code",
            "FKL19: not an INA-CBG code (like A-4-14-I)",
            "FKL47: not a number",
            "FKL48: absurd amount (over 10 billion rupiah)",
        ),
        1,
    )
    assert report.diagnoses.reasons == {"FKL24: not a diagnosis code": 1}
    with duckdb.connect(str(tmp_path / "build" / "warehouse.duckdb"), read_only=True) as connection:
        accepted = connection.sql("SELECT claim_id FROM visits ORDER BY 1").fetchall()
        staged = connection.sql("SELECT * EXCLUDE (claim_id) FROM checked_visits").fetchall()
    assert (number,) in accepted
    assert number not in str(staged)
    assert "10000000001" not in str(staged)
    kept = quarantined(make_settings())
    assert kept.project("fkl02").fetchall() == [(f"{number}9",), ("81870922V000010",)]
    assert number not in str(kept.project("* EXCLUDE (fkl02)").fetchall())


def test_nothing_with_participant_numbers_is_left_in_the_work_folder(raw_files, make_settings, tmp_path) -> None:
    raw_files([claim(n, PSTV01=f"77770000{n}") for n in range(5)], ending=".dta")
    check(make_settings(), tmp_path)
    assert [path.name for path in (tmp_path / "build").rglob("*")] == ["warehouse.duckdb"]


def test_without_a_secret_the_etl_refuses(raw_files, tmp_path) -> None:
    raw_files([claim(1)])
    settings = Settings(_env_file=None, CLAIMS_INSTANCE_DIR=str(tmp_path / "instance"))
    with pytest.raises(SettingsError, match="CLAIMS_PATIENT_KEY_SECRET"):
        check(settings, tmp_path)
