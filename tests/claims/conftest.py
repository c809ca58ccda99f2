"""Hand-made raw files: a valid claim, and ways to write many of them in every format."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from ml.claims.etl import publish_claims, run_sql_steps, start_build
from ml.claims.layout import DIAGNOSIS, FKRTL, Kind
from ml.settings import Settings

Claims = dict[str, dict[str, Any]]
Rows = list[dict[str, str]]
DATA_DATE = date(2022, 12, 31)
FACILITIES = (8187, 8188, 8189, 8190)
SECRET = "a-secret-for-tests-only"


def claim(number: int, **changes: str) -> dict[str, str]:
    """A valid inpatient claim as text, with some fields changed."""
    fields = {column.name: "NONE" if column.kind is Kind.TEXT else "0" for column in FKRTL}
    fields |= {
        "PSTV01": f"{1000 + number}", "PSTV02": f"{500 + number // 3}", "PSTV15": "1.25", "FKP02": "",
        "FKL02": f"81870922V{number:06d}", "FKL03": "2022-09-01", "FKL04": "2022-09-04", "FKL05": "33",
        "FKL06": "3374", "FKL07": "9", "FKL08": "1", "FKL09": "7", "FKL10": "2", "FKL11": "998", "FKL12": "1",
        "FKL13": "3", "FKL14": "1", "FKL15": "10", "FKL15A": "A01", "FKL16": "A010", "FKL16A": "Typhoid fever",
        "FKL17": "10", "FKL17A": "A01", "FKL18": "A010", "FKL18A": "Typhoid fever", "FKL19": "A-4-14-I",
        "FKL19A": "TYPHOID RINGAN", "FKL20": "A", "FKL21": "4", "FKL22": "14", "FKL23": "2", "FKL25": "33",
        "FKL26": "3374", "FKL27": "9", "FKL28": "1", "FKL29": "1",
        "FKL30": "9394 - Respiratory medication administered by nebulizer", "FKL31": "1", "FKL32": "2500000",
        "FKL47": "2500000", "FKL48": "2500000",
    }  # fmt: skip
    return fields | changes


def claim_id(number: int, facility: int = 8187) -> str:
    return f"{facility}0922V{number:06d}"


def crowd(count: int = 200, **changes: str) -> Rows:
    """Honest stays of three days in four hospitals, a month apart, all different patients."""
    return [
        claim(
            n,
            FKL02=claim_id(n, FACILITIES[n % len(FACILITIES)]),
            FKL03=f"2022-{1 + n % 9:02d}-01",
            FKL04=f"2022-{1 + n % 9:02d}-04",
            FKL30=f"{9300 + n} - something",  # no two alike, or they would be clones
            **changes,
        )
        for n in range(count)
    ]


def outpatient(number: int, **changes: str) -> dict[str, str]:
    """A chronic visit at one of the hospitals, or at another when `at` says which."""
    where = changes.pop("at", str(FACILITIES[number % 4]))
    visit = {
        "FKL02": claim_id(number, int(where)), "FKL04": "2022-09-01", "FKL10": "1", "FKL11": "5", "FKL13": "98",
        "FKL15": "20", "FKL15A": "I10", "FKL16": "I10", "FKL17": "20", "FKL17A": "I10", "FKL18": "I10",
        "FKL19": "Q-5-44-0", "FKL19A": "PENYAKIT KRONIS KECIL LAIN-LAIN", "FKL20": "Q", "FKL21": "5", "FKL22": "44",
        "FKL23": "1", "FKL30": f"{8000 + number} - something", "FKL32": "190000", "FKL47": "190000", "FKL48": "190000",
    }  # fmt: skip
    return claim(number, **(visit | changes))


def on_workdays(numbers: Iterable[int]) -> Rows:
    """Outpatient visits from Monday to Friday, over the whole of 2022."""
    monday = date(2022, 1, 3)
    days = {n: f"{monday + timedelta(weeks=n % 51, days=n % 5)}" for n in numbers}
    return [outpatient(n, FKL03=day, FKL04=day) for n, day in days.items()]


def followed_up(patients: int, first: int = 2000) -> Rows:
    """Ten visits a month apart of so many outpatients, at other facilities than the first."""
    rows = []
    for n in range(10 * patients):
        day = date(2022, 1, 10) + timedelta(days=n // 10 % 25 + 33 * (n % 10))
        at = str(FACILITIES[1 + n // 10 % 3])
        rows.append(outpatient(first + n, at=at, PSTV01=f"{5000 + n // 10}", FKL03=f"{day}", FKL04=f"{day}"))
    return rows


def split_visits(count: int, at: int = FACILITIES[0], first: int = 900, patient: int = 90, **later: str) -> Rows:
    """Visits of so many outpatients, each with another one a day later; `later` changes that one."""
    rows = []
    for n in range(count):
        day = date(2022, 3, 7) + timedelta(weeks=n % 40)
        for number, on, changes in ((first + 2 * n, day, {}), (first + 2 * n + 1, day + timedelta(days=1), later)):
            visit = {"PSTV01": f"{patient + n}", "FKL03": f"{on}", "FKL04": f"{on}"} | changes
            rows.append(outpatient(number, at=str(at), **visit))
    return rows


def admitted_at_the_clinic(count: int, at: int = FACILITIES[0], first: int = 900, patient: int = 90) -> Rows:
    """Visits of so many outpatients, each admitted to the same facility on that day."""
    rows = split_visits(count, at, first, patient)
    for n, visit in enumerate(rows[::2]):
        number, discharged = first + 2 * n + 1, date.fromisoformat(visit["FKL03"]) + timedelta(days=3)
        rows[2 * n + 1] = claim(
            number,
            FKL02=claim_id(number, at),
            PSTV01=visit["PSTV01"],
            FKL03=visit["FKL03"],
            FKL04=f"{discharged}",
            FKL30=f"{9000 + n} - something of its own",
        )
    return rows


def visits_on(
    days: Iterable[int], first: int = 900, patient: int = 90, at: int = FACILITIES[0], **changes: str
) -> Rows:
    """An outpatient's visits on such days of March 2022."""
    return [
        outpatient(
            first + n,
            **{"at": str(at), "PSTV01": f"{patient}", "FKL03": f"2022-03-{day:02d}", "FKL04": f"2022-03-{day:02d}"}
            | changes,
        )
        for n, day in enumerate(days)
    ]


def visit(number: int, day: str, facility: int = 8188, **changes: str) -> dict[str, str]:
    """An outpatient visit of one day."""
    return claim(
        number, FKL02=claim_id(number, facility), FKL10="1", FKL19="Q-5-44-0", FKL03=day, FKL04=day, FKL32="190000",
        FKL47="190000", FKL48="190000", **changes,
    )  # fmt: skip


ULTRASOUND = {"FKL19": "Z-3-23-0", "FKL19A": "PROSEDUR ULTRASOUND", "FKL32": "400000", "FKL47": "400000"}
ANTENATAL = {"FKL15A": "Z34", "FKL16": "Z34", "FKL17A": "Z34", "FKL18": "Z34"}


def others(claims: Claims, *odd: str) -> list[dict[str, Any]]:
    return [row for key, row in claims.items() if key not in odd]


def diagnosis(number: int, code: str = "J189") -> dict[str, str]:
    """A secondary diagnosis of claim `number`."""
    return {"FKL02": f"81870922V{number:06d}", "FKL24": code, "FKL24A": code[:3], "FKL24B": "label"}


def write_csv(path: Path, rows: Iterable[dict[str, str]]) -> Path:
    """Write rows of text as CSV, quoted where needed."""
    frame = pd.DataFrame(list(rows))
    frame.to_csv(path, index=False)
    return path


def write_as(path: Path, rows: list[dict[str, str]], columns: tuple[Any, ...]) -> Path:
    """Write rows in the format of the path's ending, typed as such a file would be."""
    if path.name.endswith(".csv"):
        return write_csv(path, rows)
    if path.name.endswith(".csv.gz"):
        plain = write_csv(path.with_suffix(""), rows)
        path.write_bytes(gzip.compress(plain.read_bytes()))
        plain.unlink()
        return path
    frame = pd.DataFrame(rows)
    for column in columns:
        if column.kind in (Kind.CODE, Kind.AMOUNT, Kind.WEIGHT):
            frame[column.name] = pd.to_numeric(frame[column.name])
        elif column.kind is Kind.DATE:
            frame[column.name] = pd.to_datetime(frame[column.name])
    if path.suffix == ".dta":
        dates = {column.name: "td" for column in columns if column.kind is Kind.DATE}
        frame.to_stata(path, write_index=False, version=118, convert_dates=dates)
    else:
        pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), path)
    return path


@pytest.fixture
def make_settings(tmp_path: Path) -> Callable[..., Settings]:
    """Settings on a temporary instance."""

    def make(**changes: Any) -> Settings:
        values = {
            "CLAIMS_INSTANCE_DIR": str(tmp_path / "instance"),
            "CLAIMS_PATIENT_KEY_SECRET": SECRET,
            "CLAIMS_MIN_PEERS": "3",
        }
        return Settings(_env_file=None, **(values | changes))

    return make


@pytest.fixture
def raw_files(make_settings: Callable[..., Settings]) -> Callable[..., Path]:
    """Write both raw files into the instance's raw folder, in a format."""

    def write(
        claims: list[dict[str, str]], diagnoses: list[dict[str, str]] | None = None, ending: str = ".csv"
    ) -> Path:
        raw = make_settings().raw
        raw.mkdir(parents=True, exist_ok=True)
        write_as(raw / f"2022_fkrtl{ending}", claims, FKRTL)
        write_as(raw / f"2022_diagnosissekunder{ending}", diagnoses or [diagnosis(1)], DIAGNOSIS)
        return raw

    return write


@pytest.fixture
def compared(raw_files: Callable[..., Path], make_settings: Callable[..., Settings]) -> Callable[..., Claims]:
    def run(visits: Rows, diagnoses: Rows | None = None, **changes: Any) -> Claims:
        raw_files(visits, diagnoses or [diagnosis(0)])
        settings = make_settings(**changes)
        build, _ = start_build(settings, DATA_DATE, "test")
        run_sql_steps(settings, build)
        rows = duckdb.sql(f"FROM '{publish_claims(settings, build).path}'").to_arrow_table().to_pylist()
        return {row["claim_id"]: row for row in rows}

    return run
