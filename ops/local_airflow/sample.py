"""The sample claims of `make run`: made when there are none, never in place of the user's own files."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ml.clock import data_date_of, now

DEFAULT_CLAIMS = 50_000
SEED = 7
_NOTE = ".sample.json"


class SampleError(Exception):
    """The sample cannot be made; the message says why."""


@dataclass(frozen=True)
class SamplePlan:
    """What is to be done about a raw folder: `claims` to generate (None: nothing), and a line that says why."""

    claims: int | None
    reason: str


@dataclass(frozen=True)
class _Note:
    """What is noted beside a generated sample."""

    claims: int
    files: dict[str, int]


def wanted_claims(text: str | None) -> int | None:
    """Read the variable CLAIMS.

    Raises:
        SampleError: it is not a positive whole number.
    """
    if not text:
        return None
    try:
        claims = int(text.replace("_", ""))
    except ValueError:
        claims = 0
    if claims < 1:
        raise SampleError(f"CLAIMS={text}: give the number of sample claims, e.g. CLAIMS={DEFAULT_CLAIMS}")
    return claims


def plan_sample(raw_dir: Path, wanted: int | None, own_files: bool) -> SamplePlan:
    """Decide whether to generate.

    Args:
        wanted: the number of claims asked for; None keeps a sample of any size.
        own_files: whether the user named the folder (CLAIMS_RAW_DIR).

    Raises:
        SampleError: the user's folder holds no claims.
    """
    claims_files = sorted(path.name for path in raw_dir.glob("*fkrtl*")) if raw_dir.is_dir() else []
    if own_files and not claims_files:
        raise SampleError(f"CLAIMS_RAW_DIR={raw_dir} holds no *fkrtl* file.")
    note = _read_note(raw_dir)
    if own_files or (claims_files and (note is None or note.files != _sizes(raw_dir))):
        unused = f" (CLAIMS={wanted} is not used)" if wanted else ""
        return SamplePlan(None, f"your own files in {raw_dir}: {', '.join(claims_files)}{unused}")
    if note is None or not claims_files:
        claims = wanted or DEFAULT_CLAIMS
        return SamplePlan(claims, f"generating a sample of {claims:,} claims")
    if wanted is not None and wanted != note.claims:
        return SamplePlan(wanted, f"generating a sample of {wanted:,} claims in place of the one of {note.claims:,}")
    return SamplePlan(None, f"the sample of {note.claims:,} claims in {raw_dir}")


class Sample:
    """Generates a sample while other things go on; the generator itself replaces whole files only."""

    def __init__(self, raw_dir: Path, claims: int | None, environ: Mapping[str, str]) -> None:
        self.raw_dir = raw_dir
        self.claims = claims
        self._generator: subprocess.Popen[str] | None = None
        if claims is not None:
            self._generator = self._start(claims, environ)

    def finish(self) -> None:
        """Wait for the generator, if one was needed, and note what it made.

        Raises:
            SampleError: the generator failed; with its last output.
        """
        if self._generator is None:
            return
        output, _ = self._generator.communicate()
        if self._generator.returncode != 0:
            raise SampleError(f"Generating the sample failed:\n{output[-2000:]}")
        self._generator = None
        note = {"claims": self.claims, "seed": SEED, "files": _sizes(self.raw_dir)}
        (self.raw_dir / _NOTE).write_text(json.dumps(note, indent=1), encoding="utf-8")

    def cancel(self) -> None:
        """End a generator that is still at work."""
        if self._generator is not None:
            self._generator.kill()
            self._generator.communicate()

    def _start(self, claims: int, environ: Mapping[str, str]) -> subprocess.Popen[str]:
        until = data_date_of(now()).isoformat()  # later claims would not be known yet
        command = [sys.executable, "-m", "ml.sample", "--claims", str(claims), "--seed", str(SEED)]
        return subprocess.Popen(
            [*command, "--out", str(self.raw_dir), "--until", until],
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


def _sizes(raw_dir: Path) -> dict[str, int]:
    """Files of a raw folder by name; a size that differs from the noted one means that the user put in their own."""
    return {path.name: path.stat().st_size for path in sorted(raw_dir.iterdir()) if not path.name.startswith(".")}


def _read_note(raw_dir: Path) -> _Note | None:
    try:
        note = json.loads((raw_dir / _NOTE).read_text(encoding="utf-8"))
        return _Note(int(note["claims"]), dict(note["files"]))
    except (FileNotFoundError, NotADirectoryError, KeyError, TypeError, ValueError):
        return None  # then the files count as the user's own, and stay
