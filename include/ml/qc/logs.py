"""The QC logs `ml_scores_qc_<YYYYMMDDTHHMMSSZ>.json`: names, atomic writing, and reading back, old ones included."""

from __future__ import annotations

import json
import math
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from ml.clock import stamp
from ml.files import replace_durably
from ml.qc.errors import QcError

SUMMARY_NAME = "ml_scores_qc_summary.json"
_LOG_NAME = re.compile(r"ml_scores_qc_\d{8}T\d{6}Z\.json")
COUNTED_IN_TOP_K = {
    "severity_in_top_k": "severity_group",
    "province_in_top_k": "province_name",
    "flags_in_top_k": "flags",
}
"""Counts of the summary, and the field of a top record each one counts."""


@dataclass(frozen=True)
class Snapshot:
    """What one QC log says, without its records."""

    log: Path
    stamp: str
    summary: dict[str, Any]
    counts: dict[str, Counter[str]]
    top_record_count: int

    @property
    def passed(self) -> bool:
        """Whether QC passed; the old system wrote no verdict, and what it wrote was live."""
        return self.summary.get("passed", True) is True

    @property
    def recency(self) -> tuple[str, str]:
        """Orders logs by what readers saw last: the later data date, then the later log.

        The log of a backfill is young but its release never replaced a newer one; the old system's logs have no data
        date and come before all others.
        """
        return str(self.summary.get("data_date") or ""), self.stamp


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it: no NaN or Infinity, dates as ISO 8601, NumPy scalars as Python's."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat() + ("" if value.tzinfo else "Z")  # DuckDB's timestamps of ours are UTC
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        value = float(value)
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def write_json(target: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file atomically: readers see the old content or the new one, also after a crash."""
    target.parent.mkdir(parents=True, exist_ok=True)
    _write(target, target.with_name(f".{target.name}.{os.getpid()}.tmp"), plain(content))


def write_log(logs_dir: Path, moment: datetime, content: Mapping[str, Any]) -> tuple[Path, dict[str, Any]]:
    """Write a QC log under the first free second from `moment` on, and never over an existing one.

    Args:
        logs_dir: folder of the logs; made if missing.
        moment: when QC looked.
        content: what the log says; its `summary` gets the log's own stamp as `timestamp`.

    Returns:
        The log's path, and its content as it was written.
    """
    written: dict[str, Any] = plain(content)
    logs_dir.mkdir(parents=True, exist_ok=True)
    while not _reserved(log := logs_dir / f"ml_scores_qc_{stamp(moment)}.json"):
        moment += timedelta(seconds=1)
    written["summary"] = {"timestamp": stamp(moment), **written["summary"]}
    _write(log, _temporary(log), written)
    return log, written


def is_log_name(name: str) -> bool:
    """Whether a file of that name in the logs folder is, or claims to be, a QC log."""
    return _LOG_NAME.fullmatch(name) is not None


def read_log(log: Path) -> dict[str, Any]:
    """Return the content of a QC log, new or old.

    Raises:
        QcError: the file is no QC log or cannot be read; the message is the reason, without the file's name.
    """
    if not is_log_name(log.name):
        raise QcError("is not named ml_scores_qc_<YYYYMMDDTHHMMSSZ>.json")
    try:
        content = json.loads(log.read_text(encoding="utf-8"), parse_constant=lambda _: None)
    except OSError as error:
        raise QcError(f"cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise QcError(f"is not valid JSON: {error}") from None
    summary = content.get("summary") if isinstance(content, dict) else None
    if not isinstance(summary, dict) or not isinstance(summary.get("total_rows"), int | float):
        raise QcError("holds no `summary` with `total_rows`")
    records = content.get("top_records", [])
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise QcError("`top_records` is not a list of records")
    return {**content, "top_records": records}


def read_snapshot(log: Path) -> Snapshot:
    """Return what one QC log says, without its records.

    Raises:
        QcError: as `read_log`.
    """
    content = read_log(log)
    records = content["top_records"]
    return Snapshot(
        log=log,
        stamp=log.stem.removeprefix("ml_scores_qc_"),
        summary=content["summary"],
        counts=count_in_top_k(records),
        top_record_count=len(records),
    )


def read_snapshots(logs_dir: Path, *, besides: Path | None = None) -> tuple[list[Snapshot], dict[str, str]]:
    """Return the logs of a folder, oldest first, and for every JSON file that is no QC log the reason.

    Args:
        logs_dir: folder of the logs; only its own files, not its folders', are looked at.
        besides: a file that is known to be no log (the summary).
    """
    snapshots: list[Snapshot] = []
    skipped: dict[str, str] = {}
    summaries = {(logs_dir / SUMMARY_NAME).resolve(), (besides or logs_dir / SUMMARY_NAME).resolve()}
    for path in sorted(logs_dir.glob("[!.]*.json")):
        if path.resolve() in summaries:
            continue
        try:
            snapshots.append(read_snapshot(path))
        except QcError as error:
            skipped[path.name] = str(error)
    return sorted(snapshots, key=lambda snapshot: snapshot.stamp), skipped


def snapshots_since(logs_dir: Path, since: str) -> Iterator[Snapshot]:
    """Read the logs stamped at a moment (`YYYYMMDDTHHMMSSZ`) or later, newest first; what is no QC log is left out."""
    for path in sorted(logs_dir.glob("*.json"), reverse=True):
        if is_log_name(path.name) and path.stem.removeprefix("ml_scores_qc_") >= since:
            with suppress(QcError):
                yield read_snapshot(path)


def collect_logs(logs_dir: Path, before: datetime) -> list[str]:
    """Delete the QC logs that were stamped before a moment, and return their names; the youngest always stays."""
    logs = sorted(path for path in logs_dir.glob("*.json") if is_log_name(path.name))
    old = [log for log in logs[:-1] if log.stem < f"ml_scores_qc_{stamp(before)}"]
    for log in old:
        log.unlink(missing_ok=True)
    return [log.name for log in old]


def count_in_top_k(records: list[dict[str, Any]]) -> dict[str, Counter[str]]:
    """Return how often each severity, province and flag stands in the top records (a claim may have several flags)."""
    counts: dict[str, Counter[str]] = {}
    for name, field in COUNTED_IN_TOP_K.items():
        values = (record.get(field) for record in records)
        lists = (value if isinstance(value, list) else [value] for value in values)
        counts[name] = Counter(str(item) for items in lists for item in items if item is not None)
    return counts


def _temporary(log: Path) -> Path:
    return log.with_name(f".{log.name}.tmp")


def _reserved(log: Path) -> bool:
    """Take a log's name: whoever makes its temporary file first, and finds no log then, is alone with that name."""
    try:
        _temporary(log).touch(exist_ok=False)
    except FileExistsError:
        return False
    if log.exists():
        _temporary(log).unlink()
        return False
    return True


def _write(target: Path, temporary: Path, content: Mapping[str, Any]) -> None:
    try:
        text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")
        replace_durably(temporary, target)
    except BaseException:  # not `finally`: after the replace, that name may already be another process's
        temporary.unlink(missing_ok=True)
        raise
