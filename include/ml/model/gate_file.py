"""`gate.json` in a model's folder: what the gate measured last. It comes after the model, so model.json cannot list it.

It is sealed by its own SHA-256, and the loader refuses a folder in which it was altered. Nobody decides by it: whether
a model has passed stands in the models' log.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from ml.files import replace_durably

GATE_FILE = "gate.json"


class GateFileError(ValueError):
    """`gate.json` is not what `write_gate_file` wrote."""


def write_gate_file(folder: Path, report: dict[str, Any]) -> Path:
    """Put a report (JSON-ready) beside a model, in place of the one before.

    Args:
        folder: the model's.
        report: what the gate measured.
    """
    # Built outside: a night that loads the model meanwhile would refuse a file it does not know.
    temporary = folder.parent / f".{folder.name}.gate.{os.getpid()}"
    temporary.write_bytes(_sealed(report))
    replace_durably(temporary, folder / GATE_FILE)
    return folder / GATE_FILE


def read_gate_file(folder: Path) -> dict[str, Any] | None:
    """Return the report beside a model; None where the gate has not measured it.

    Raises:
        GateFileError: a byte of it was changed.
    """
    try:
        written = (folder / GATE_FILE).read_bytes()
    except FileNotFoundError:
        return None
    try:
        report: dict[str, Any] = json.loads(written)["report"]
        intact = written == _sealed(report)
    except (KeyError, TypeError, ValueError):
        intact = False
    if not intact:
        raise GateFileError(f"{folder / GATE_FILE}: altered; delete it, then let the gate judge the model again")
    return report


def _sealed(report: dict[str, Any]) -> bytes:
    body = json.dumps(report, sort_keys=True, allow_nan=False)
    sealed = {"report": report, "sha256": hashlib.sha256(body.encode()).hexdigest()}
    return (json.dumps(sealed, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()
