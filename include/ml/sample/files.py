"""Writes a sample to disk: whole files or none, and never the labels beside the raw files."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from filelock import FileLock, Timeout

from ml.files import replace_durably
from ml.sample.generate import Sample

VISITS = "sample_fkrtl"
DIAGNOSES = "sample_diagnosissekunder"
_NAMES = ("fkrtl", "diagnosissekunder")  # the ETL takes a file with one of these in its name ...
_ENDINGS = (".csv", ".csv.gz", ".parquet", ".dta")  # ... and one of these at its end
_WORK, _LOCK = ".generator-work", ".generator.lock"  # names the ETL does not look at
_ROWS = 131_072


def is_generated(visits: str) -> bool:
    """Say whether a raw file of visits is the generator's, by its name."""
    return Path(visits).name.startswith(f"{VISITS}.")


class Format(StrEnum):
    """File formats of the raw layout."""

    CSV = "csv"
    PARQUET = "parquet"
    DTA = "dta"


class SampleError(Exception):
    """The sample cannot be written there; the message says why and what to do."""


def default_labels(out: Path) -> Path:
    """Where the labels go when nobody says: a sibling of the raw folder."""
    out = out.absolute()
    return out.parent / f"{out.name}_labels" / "labels.parquet"


def check_target(out: Path, fmt: Format, labels: Path) -> None:
    """Refuse a target that would mislead the pipeline.

    Raises:
        SampleError: the folder holds other files the ETL would take for its input, the labels would lie in it, or their
            name says no format.
    """
    if out.exists() and not out.is_dir():
        raise SampleError(f"{out} is not a folder; give another --out")
    if labels.resolve().is_relative_to(out.resolve()):
        raise SampleError(f"the labels {labels} would lie in the raw folder {out}; give --labels outside of it")
    if labels.suffix not in _LABELS_WRITERS:
        raise SampleError(f"the labels {labels} must be a .parquet or .csv file")
    ours = {f"{VISITS}.{fmt}", f"{DIAGNOSES}.{fmt}"}
    others = sorted(path.name for path in _matching(out) if path.name not in ours)
    if others:
        raise SampleError(
            f"{out} already holds {', '.join(others)}: with a second input file beside it the ETL could not tell which "
            "one counts. Remove them, or give another --out"
        )


def _matching(out: Path) -> list[Path]:
    if not out.is_dir():
        return []
    return [
        path
        for path in out.iterdir()
        if path.name.lower().endswith(_ENDINGS) and any(name in path.name.lower() for name in _NAMES)
    ]


def write(sample: Sample, out: Path, fmt: Format | str = Format.CSV, labels: Path | None = None) -> dict[str, Path]:
    """Write a sample's visits and secondary diagnoses into a folder, and its labels outside of it.

    Every file is complete before it takes its name; a killed writer leaves the old files, or none.

    Returns:
        The paths, by `visits`, `diagnoses`, `labels`.

    Raises:
        SampleError: the target is refused (see `check_target`), or another generator is writing there.
    """
    fmt = Format(fmt)
    target = labels or default_labels(out)
    check_target(out, fmt, target)
    out.mkdir(parents=True, exist_ok=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(out / _LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise SampleError(f"another generator is writing to {out}; wait for it") from None
    try:
        return _write(sample, out, fmt, target)
    finally:
        lock.release()


def _write(sample: Sample, out: Path, fmt: Format, labels: Path) -> dict[str, Path]:
    writer = _WRITERS[fmt]
    work = out / _WORK
    beside = labels.with_name(f".{labels.name}.part")
    shutil.rmtree(work, ignore_errors=True)  # left by a killed generator
    work.mkdir()
    paths = {
        "diagnoses": out / f"{DIAGNOSES}.{fmt}",
        "visits": out / f"{VISITS}.{fmt}",
    }
    try:
        writer(sample.diagnoses, work / "diagnoses")
        writer(sample.visits, work / "visits")
        _LABELS_WRITERS[labels.suffix](sample.labels, beside)
        replace_durably(beside, labels)
        for name, path in paths.items():
            replace_durably(work / name, path)
    finally:
        shutil.rmtree(work, ignore_errors=True)
        beside.unlink(missing_ok=True)
    return {**paths, "labels": labels}


def _csv(table: pa.Table, path: Path) -> None:
    with pa.csv.CSVWriter(path, table.schema) as writer:
        for batch in table.to_batches(max_chunksize=_ROWS):
            writer.write_batch(batch)


def _parquet(table: pa.Table, path: Path) -> None:
    # Without the Arrow schema the dictionary columns read back as plain text everywhere.
    pa.parquet.write_table(table, path, compression="zstd", store_schema=False, row_group_size=_ROWS)


def _dta(table: pa.Table, path: Path) -> None:
    import pyreadstat  # only this format needs it

    frame = pa.table(
        {
            name: column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column
            for name, column in zip(table.column_names, table.columns, strict=True)
        }
    ).to_pandas(date_as_object=True, strings_to_categorical=False)
    pyreadstat.write_dta(frame, str(path), version=15)


_WRITERS: dict[Format, Callable[[pa.Table, Path], None]] = {
    Format.CSV: _csv,
    Format.PARQUET: _parquet,
    Format.DTA: _dta,
}
_LABELS_WRITERS: dict[str, Callable[[pa.Table, Path], None]] = {".csv": _csv, ".parquet": _parquet}
"""By the ending that `evaluate_files` goes by; it does not read .dta."""
