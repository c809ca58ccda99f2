"""What changed against the last QC log that passed, of another release: the base of the drift warnings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from ml.qc.logs import Snapshot, read_log, read_snapshots


@dataclass(frozen=True)
class Previous:
    """The log to compare with."""

    log: str
    summary: dict[str, Any]
    claim_ids: frozenset[str]  # its top-K


def find_previous(
    logs_dir: Path, *, release_id: str, data_date: date | None, withdrawn: Callable[[str], bool] = lambda _: False
) -> Previous | None:
    """Return the log of what readers saw before a release, or None if there is none.

    That is the passed log of the latest data date not after the release's own. Failed logs do not count (what they
    describe was taken back), nor do those of releases that were withdrawn later, nor logs of the same release: a
    repeated QC would find that nothing changed.

    Args:
        logs_dir: folder of the QC logs.
        release_id: the release to compare.
        data_date: its data date.
        withdrawn: tells of a release id whether readers were taken off it.
    """
    snapshots, _ = read_snapshots(logs_dir)
    candidates = [snapshot for snapshot in snapshots if _comparable(snapshot, release_id, data_date)]
    newest_first = sorted(candidates, key=lambda snapshot: snapshot.recency, reverse=True)
    chosen = next((each for each in newest_first if not withdrawn(str(each.summary.get("release_id")))), None)
    if chosen is None:
        return None
    records = read_log(chosen.log)["top_records"]
    return Previous(chosen.log.name, chosen.summary, frozenset(str(record.get("claim_id")) for record in records))


def changes(previous: Previous | None, summary: dict[str, Any], claim_ids: Sequence[str]) -> dict[str, Any]:
    """Return the changes from the previous log to a summary; a figure that cannot be compared is None.

    `amount_claimed_top_k_mean_change` and `total_rows_change` are shares of the old value (0.5: half as much again),
    `los_le_1_ratio_top_k_change` is a difference of shares. `top_k_kept`, `_new` and `_left` count claims. Means of two
    lists of different length (REFRESH_TOP_K) are not compared.
    """
    before = previous.summary if previous else {}
    old_ids = previous.claim_ids if previous else frozenset()
    kept = len(old_ids.intersection(claim_ids)) if previous else None
    requested = summary.get("top_k_requested")
    as_long = before if before.get("top_k_requested", requested) == requested else {}
    return {
        "previous_log": previous.log if previous else None,
        "previous_release_id": before.get("release_id"),
        "previous_data_date": before.get("data_date"),
        "previous_top_k": before.get("top_k"),
        "amount_claimed_top_k_mean_change": _share(as_long, summary, "amount_claimed_top_k_mean"),
        "los_le_1_ratio_top_k_change": _difference(as_long, summary, "los_le_1_ratio_top_k"),
        "total_rows_change": _share(before, summary, "total_rows"),
        "top_k_kept": kept,
        "top_k_new": None if kept is None else len(claim_ids) - kept,
        "top_k_left": None if kept is None else len(old_ids) - kept,
        "top_k_kept_share": kept / len(claim_ids) if kept is not None and claim_ids else None,
    }


def _comparable(snapshot: Snapshot, release_id: str, data_date: date | None) -> bool:
    of_another = snapshot.summary.get("release_id") != release_id
    not_later = data_date is None or str(snapshot.summary.get("data_date") or "") <= data_date.isoformat()
    return snapshot.passed and of_another and not_later


def _difference(before: dict[str, Any], after: dict[str, Any], name: str) -> float | None:
    old, new = before.get(name), after.get(name)
    return new - old if isinstance(old, int | float) and isinstance(new, int | float) else None


def _share(before: dict[str, Any], after: dict[str, Any], name: str) -> float | None:
    difference = _difference(before, after, name)
    return difference / before[name] if difference is not None and before[name] else None
