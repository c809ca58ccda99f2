"""The plain text of `python -m ml.pipelines.models`: versions and numbers are never cut, also in a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ml.clock import JAKARTA
from ml.pipelines.console import say
from ml.promotion.log import Entry, Event
from ml.promotion.report import NAMES

_EVENTS = {
    Event.TRAINED: "trained",
    Event.GATE_PASSED: "passed the gate",
    Event.GATE_REFUSED: "refused by the gate",
    Event.PROMOTED: "promoted to default",
    Event.DEMOTED: "default again",
    Event.FOUND: "found as default",
}


def show_list(entries: Sequence[dict[str, Any]]) -> None:
    """Print the table of models, newest training claims last."""
    if not entries:
        say("No model yet. Train the first: python -m ml.pipelines.train_model")
        return
    head = ("", "model", "data date", "claims", "seed", "gate", "features")
    sound = sorted((e for e in entries if not e["problem"]), key=lambda e: str(e["training"].get("data_date")))
    rows = [
        (
            "*" if entry["default"] else "",
            entry["version"],
            str(entry["training"].get("data_date")),
            f"{entry['training'].get('calibration_rows', 0):,}",
            str(entry["training"].get("seed")),
            (entry["gate"] or "not judged").removeprefix("gate ") + (", demoted" if entry["demoted"] else ""),
            "changed since" if entry["changed_definitions"] else "as now",
        )
        for entry in sound
    ]
    widths = [max(len(line[column]) for line in [head, *rows]) for column in range(len(head))]
    for line in [head, *rows]:
        say("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    for entry in entries:
        if entry["problem"]:
            say(f"DAMAGED{' AND DEFAULT' if entry['default'] else ''}: {entry['version']}: {entry['problem']}")


def show_model(entry: dict[str, Any], gate: dict[str, Any] | None, events: Iterable[Entry], folder: Path) -> None:
    """Print one model with the gate's figures and its history."""
    say(f"{entry['version']}{' (default)' if entry['default'] else ''}  {folder}")
    if entry["problem"]:
        say(f"DAMAGED: {entry['problem']}")
    else:
        training = entry["training"]
        libraries = ", ".join(f"{name} {version}" for name, version in training.get("versions", {}).items())
        facts = {
            "trained on": f"{training.get('calibration_rows', 0):,} claims of {training.get('data_date')}, "
            f"from {entry['trained_on']}, seed {training.get('seed')}",
            "libraries": libraries,
            "SHA-256": entry["content_sha256"],
            "features": f"{len(entry['features'])} of the forest; {len(training.get('definitions', {}))} definitions, "
            + (
                f"changed since: {', '.join(entry['changed_definitions'])}"
                if entry["changed_definitions"]
                else "as now"
            ),
        }
        for name, value in facts.items():
            say(f"{name:>10}  {value}")
    if gate:
        say("\nThe gate's last word")
        show_gate(gate)
    say("\nWhat happened")
    show_log(events)


def show_gate(gate: dict[str, Any]) -> None:
    """Print what the gate measured."""
    verdict = "passed" if gate["passed"] else "REFUSED"
    sets = ", ".join(each["name"] for each in gate["sets"])
    say(f"{gate['version']} {verdict} against {gate['against'] or 'no default'}, by {gate['ruleset']} on {sets}")
    for each in gate["measures"]:
        current = (
            "" if each["current"] is None else f", current {each['current']:.3f} (tolerance {each['tolerance']:.3f})"
        )
        say(f"  {NAMES[each['name']]:<24} {each['candidate']:.3f}{current}, by amount {each['amount']:.3f}")
    if gate["scales"]:
        off = ", ".join(f"{each['channel']} {each['candidate']:+.2f}" for each in gate["scales"])
        say(f"  scales off by, decades:  {off}")
    if newest := gate["newest"]:
        overlap = ", ".join(f"top {int(k):,}: {100 * share:.0f}%" for k, share in newest["overlap"].items())
        say(
            f"  on {newest['claims']:,} claims of {newest['data_date']}: in common {overlap}; above 0.5 "
            f"{100 * newest['above_half_before']:.2f}% -> {100 * newest['above_half_after']:.2f}%; "
            f"Jensen-Shannon distance {newest['score_shift']:.3f}"
        )
    for refusal in gate["refusals"]:
        say(f"  refused: {refusal}")
    for note in gate["notes"]:
        say(f"  note: {note}")


def show_log(entries: Iterable[Entry]) -> None:
    """Print events, oldest first."""
    shown = False
    for entry in entries:
        shown = True
        parts = [f"{entry.version} {_EVENTS[entry.event]}"]
        if entry.previous:
            judged = entry.event in (Event.GATE_PASSED, Event.GATE_REFUSED)
            parts.append(f"{'against' if judged else 'instead of'} {entry.previous}")
        if entry.forced:
            parts.append("FORCED past the gate")
        if entry.event is Event.TRAINED:
            parts.append(f"on {entry.trained_on}")
        if entry.figures and (candidate := entry.figures.get("candidate")):
            parts.append(", ".join(f"{NAMES[name]} {value:.3f}" for name, value in candidate.items()))
        parts.append(f"by {entry.who}")
        if entry.reason:
            parts.append(f"because: {entry.reason}")
        say(f"  {entry.at.astimezone(JAKARTA):%Y-%m-%d %H:%M:%S} WIB  {', '.join(parts)}")
    if not shown:
        say("  nothing in the log yet")
