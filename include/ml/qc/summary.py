"""The summary over all QC logs, `ml_scores_qc_summary.json`: what dashboards and the API's status read."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from ml.qc.errors import QcError
from ml.qc.logs import COUNTED_IN_TOP_K, Snapshot, is_log_name, plain, read_snapshots, write_json

LOGGER = logging.getLogger(__name__)
MOST_COMMON = 10


def write_summary(logs_dir: Path, output: Path, *, live_release_id: str | None = None) -> dict[str, Any]:
    """Regenerate the summary from the logs alone and write it atomically.

    The names are read by other tools, so fields are only ever added:

    - `total_snapshots`: logs read, passed or not; `failed_snapshots`: those whose QC failed.
    - `live_release_id`: what readers see; None when that is not known.
    - `latest_snapshot`: summary of the log that describes what readers see: the youngest passed one of the live
      release (after a rollback that is an old log), else among the passed ones that of the latest data date, then the
      youngest (a backfill's log is young, but its release replaced nothing). A log without `passed` is of the old
      system and counts as passed. None if none passed.
    - `averages`: mean of every numeric field of the summaries, over the passed logs that have a value for it.
    - `top_severity_in_top_k`, `top_province_in_top_k`, `top_flags_in_top_k`: `[value, count]` pairs, most frequent
      first, at most 10: in how many top records of all passed logs the value stands.
    - `snapshots`: the summaries, oldest log first, failed ones included; each also with `log`, `passed`,
      `top_record_count`, and once more under `summary`, where readers of the old file look.
    - `skipped_files`: JSON files in the folder that are no QC log; `skipped_reasons` says why, by name.

    Args:
        logs_dir: folder of the logs; an empty one gives a summary of 0 snapshots.
        output: the file to write; folders are made.
        live_release_id: the release that is live, where it is known.

    Returns:
        What was written.

    Raises:
        QcError: no such folder, the file cannot be written, or its name is that of a log.
    """
    if not logs_dir.is_dir():
        raise QcError(
            f"{logs_dir}: no such folder of QC logs. Run the scoring once, or name the folder with --logs-dir."
        )
    if is_log_name(output.name):
        raise QcError(f"{output}: that is the name of a QC log, which is never overwritten. Choose another --output.")
    snapshots, skipped = read_snapshots(logs_dir, besides=output)
    for name, reason in skipped.items():
        LOGGER.warning("%s skipped, it is no QC log: it %s", logs_dir / name, reason)
    content: dict[str, Any] = plain(
        _content(snapshots, live_release_id) | {"skipped_files": list(skipped), "skipped_reasons": skipped}
    )
    try:
        write_json(output, content)
    except OSError as error:
        raise QcError(f"{output}: cannot be written: {error.strerror}") from error
    return content


def _content(snapshots: Sequence[Snapshot], live_release_id: str | None) -> dict[str, Any]:
    passed = [snapshot for snapshot in snapshots if snapshot.passed]
    of_live = [snapshot for snapshot in passed if snapshot.summary.get("release_id") == live_release_id]
    if live_release_id is None or not of_live:
        of_live = passed
    latest = max(of_live, key=lambda snapshot: snapshot.recency, default=None)
    return {
        "live_release_id": live_release_id,
        "total_snapshots": len(snapshots),
        "failed_snapshots": len(snapshots) - len(passed),
        "latest_snapshot": latest.summary if latest else None,
        "averages": _averages([snapshot.summary for snapshot in passed]),
        **{f"top_{name}": _most_common(passed, name) for name in COUNTED_IN_TOP_K},
        "snapshots": [
            {
                "timestamp": snapshot.stamp,
                **snapshot.summary,
                "passed": snapshot.passed,
                "log": snapshot.log.name,
                "top_record_count": snapshot.top_record_count,
                "summary": snapshot.summary,
            }
            for snapshot in snapshots
        ],
    }


def _averages(summaries: Sequence[dict[str, Any]]) -> dict[str, float]:
    values: dict[str, list[float]] = {}
    for summary in summaries:
        for name, value in summary.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                values.setdefault(name, []).append(value)
    return {name: fmean(numbers) for name, numbers in values.items()}


def _most_common(snapshots: Sequence[Snapshot], name: str) -> list[tuple[str, int]]:
    total: Counter[str] = Counter()
    for snapshot in snapshots:
        total.update(snapshot.counts[name])
    return total.most_common(MOST_COMMON)
