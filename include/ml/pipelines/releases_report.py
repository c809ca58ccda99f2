"""The plain text of `python -m ml.pipelines.releases`: ids and numbers are never cut, also in a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import typer

from ml.clock import JAKARTA
from ml.compare import Comparison, Shift, TopClaim
from ml.pipelines.console import say
from ml.release import Release
from ml.release.journal import Event, Record

VERDICTS = {True: "passed", False: "FAILED", None: "not checked"}
SHIFTS_SHOWN = 10
_EVENTS = {
    Event.INTENT: "about to become live",
    Event.SWITCHED: "became live",
    Event.ARCHIVED: "archived, a newer data date is live",
    Event.QC: "QC",
    Event.FENCED: "given up",
    Event.RESTORED: "live again",
    Event.ROLLED_BACK: "rolled back to",
    Event.COLLECTED: "deleted",
}


def show_list(entries: Sequence[dict[str, Any]]) -> None:
    """Print the table of releases."""
    if not entries:
        say("No release yet. A scoring run makes the first: make run, or python -m ml.pipelines.refresh_ml_scores")
        return
    head = ("", "release", "data date", "rows", "model", "ruleset", "QC", "state", "age", "size")
    _table(
        head,
        [
            (
                "*" if entry["live"] else "",
                entry["release_id"],
                entry["data_date"],
                f"{entry['rows']:,}",
                entry["model_version"],
                entry["ruleset_version"],
                VERDICTS[entry["qc_passed"]],
                entry["state"],
                _age(entry["age_seconds"]),
                _megabytes(entry["size_bytes"]),
            )
            for entry in entries
            if "rows" in entry
        ],
        right={"rows", "age", "size"},
    )
    for entry in entries:
        if "problem" in entry:
            say(f"DAMAGED{' AND LIVE' if entry['live'] else ''}: {entry['problem']}")


def warn_of_rubbish(folders: Sequence[Path]) -> None:
    """Note on standard error which folders among the releases are none."""
    for folder in folders:
        if folder.name.startswith("."):
            fate = "it is being built, or was left by a crash: then the next publish or recover deletes it"
        else:
            fate = "nothing deletes it by itself"
        typer.echo(f"note: {folder} is no complete release; {fate}", err=True)


def show_release(release: Release, entry: dict[str, Any], events: Iterable[Record]) -> None:
    """Print one release with its history."""
    manifest = release.manifest
    published = f"{manifest.created_at.astimezone(JAKARTA):%Y-%m-%d %H:%M:%S} WIB"
    facts = {
        "release": release.id + (" (live)" if entry["live"] else f" ({entry['state']})"),
        "data date": f"{manifest.data_date} (Jakarta)",
        "published": f"{published}, {_age(entry['age_seconds'])} ago",
        "by": f"run {manifest.run_id}, try {manifest.try_number}",
        "rows": f"{manifest.rows:,}, backup {manifest.backup_rows:,}",
        "QC": VERDICTS[entry["qc_passed"]],
        "model": f"{manifest.model_version} (SHA-256 {manifest.model_sha256})",
        "ruleset": f"{manifest.ruleset_version} (SHA-256 {manifest.ruleset_sha256})",
        "claims": f"SHA-256 {manifest.input_sha256}",
        "before it": manifest.previous or "nothing",
        "folder": str(release.path),
    }
    for name, value in facts.items():
        say(f"{name:>10}  {value}")
    for name, file in manifest.files.items():
        say(f"{'file':>10}  {name}, {_megabytes(file.size)}, SHA-256 {file.sha256}")
    say("\nWhat happened")
    for record in events:
        say(f"  {record.at.astimezone(JAKARTA):%Y-%m-%d %H:%M:%S} WIB  {_event(record, release.id)}")


def show_verdicts(verdicts: Sequence[dict[str, Any]]) -> None:
    """Print what verifying has found."""
    if not verdicts:
        say("No release yet, nothing to verify.")
    for verdict in verdicts:
        live = " (live)" if verdict["live"] else ""
        if not verdict["problems"]:
            say(f"good     {verdict['release_id']}{live}")
            continue
        say(f"DAMAGED  {verdict['release_id']}{live}")
        for problem in verdict["problems"]:
            say(f"         - {problem}")
        best = verdict["best_alternative"]
        say(f"         best alternative: {best or 'none, no other release is good; publish anew'}")
        if verdict["live"] and best:
            say(f"         go there: python -m ml.pipelines.releases rollback --to {best} --reason TEXT")


def show_comparison(changes: Comparison, language: str) -> None:
    """Print what changed between two releases."""
    for name, side in (("A", changes.a), ("B", changes.b)):
        say(
            f"{name}  {side.release_id}: data date {side.data_date}, {side.rows:,} claims, "
            f"{side.model_version}, {side.ruleset_version}"
        )
    for line in changes.lines():
        say(line)
    for title, claims in (("New in the top", changes.entrants), ("Gone from the top", changes.leavers)):
        if claims:
            say(f"\n{title} {changes.top_k}")
        for claim in claims:
            _show_claim(claim, language)
    for title, shifts in (("province", changes.by_province), ("severity", changes.by_severity)):
        _show_shifts(title, shifts)
    if changes.by_flag:
        say("")
        _table(
            ("flag", "claims A", "claims B", "change"),
            [(f.flag, f"{f.claims_a:,}", f"{f.claims_b:,}", f"{f.claims_b - f.claims_a:+,}") for f in changes.by_flag],
            right={"claims A", "claims B", "change"},
        )


def _show_claim(claim: TopClaim, language: str) -> None:
    say(f"  {claim.line()}")
    for reason in claim.reasons:
        say(f"    - {reason.get('text_' + language) or reason.get('code', '')}")


def _show_shifts(title: str, shifts: Sequence[Shift]) -> None:
    say("")
    _table(
        (title, "claims A", "claims B", "mean risk A", "mean risk B", "shift", "flagged A", "flagged B", "shift "),
        [
            (
                shift.value,
                f"{shift.claims_a:,}",
                f"{shift.claims_b:,}",
                _score(shift.mean_risk_score_a),
                _score(shift.mean_risk_score_b),
                f"{shift.risk_score_shift:+.3f}",
                _share(shift.flagged_share_a),
                _share(shift.flagged_share_b),
                f"{100 * shift.flagged_shift:+.1f}",
            )
            for shift in shifts[:SHIFTS_SHOWN]
        ],
        right={"claims A", "claims B", "mean risk A", "mean risk B", "shift", "flagged A", "flagged B", "shift "},
    )
    if len(shifts) > SHIFTS_SHOWN:
        say(f"and {len(shifts) - SHIFTS_SHOWN} more with smaller shifts (all with --json)")


def _event(record: Record, release_id: str) -> str:
    parts = [_EVENTS[record.event]]
    if record.event is Event.QC:
        parts = [f"QC {'passed' if record.passed else 'FAILED'}" + (f" ({record.log})" if record.log else "")]
    elif record.release_id != release_id:
        parts = [f"{record.release_id or 'no release'} {_EVENTS[record.event]} instead"]
    if record.run_id:
        parts.append(f"run {record.run_id}, try {record.try_number}")
    if record.who:
        parts.append(f"by {record.who}")
    if record.reason:
        parts.append(f"because: {record.reason}")
    return ", ".join(parts)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], *, right: set[str]) -> None:
    widths = [max(len(line[column]) for line in [head, *rows]) for column in range(len(head))]
    for line in [head, *rows]:
        cells = zip(head, line, widths, strict=True)
        say(
            "  ".join(cell.rjust(width) if name in right else cell.ljust(width) for name, cell, width in cells).rstrip()
        )


def _age(seconds: int) -> str:
    age = timedelta(seconds=seconds)
    if age >= timedelta(days=2):
        return f"{age.days} d"
    return f"{seconds // 3600} h" if seconds >= 7200 else f"{seconds // 60} min" if seconds >= 120 else f"{seconds} s"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


def _score(score: float | None) -> str:
    return "-" if score is None else f"{score:.3f}"


def _share(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}%"
