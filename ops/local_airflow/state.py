"""The state directory of a stack: who runs it, and clearing away what a killed one left."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import asdict, dataclass
from pathlib import Path

import filelock
import psutil

from ops.local_airflow.metadata_store import MetadataStore
from ops.local_airflow.private_files import EXPORTS_FILE, write_private
from ops.local_airflow.processes import end_all

_STATE_FILE = "stack.json"
_MARKER = "README"
_MARKER_TEXT = "State of the local Airflow: metadata, logs, secrets. `make clean` removes it; no claims data in here.\n"


@dataclass(frozen=True)
class StackState:
    """What a running stack tells about itself. `pid` and `created` name the process that will stop it."""

    pid: int
    created: float
    mode: str
    base_url: str
    instance_dir: str
    raw_dir: str

    def owner(self) -> psutil.Process | None:
        """Return the owning process, None when it is gone."""
        return process_of(self.pid, self.created)


def make_run_dir(run_dir: Path) -> None:
    """Make a state directory that others cannot read; as root PostgreSQL's account must pass through it."""
    fresh = not run_dir.exists()
    run_dir.mkdir(parents=True, exist_ok=True)
    run_dir.chmod(0o711 if os.geteuid() == 0 else 0o700)
    for name in ("airflow", "logs"):
        (run_dir / name).mkdir(exist_ok=True, mode=0o700)
    if fresh:
        (run_dir / _MARKER).write_text(_MARKER_TEXT, encoding="utf-8")


def is_run_dir(run_dir: Path) -> bool:
    """Whether this directory was made by `make_run_dir`, so that it may be removed."""
    marker = run_dir / _MARKER
    return marker.exists() and marker.read_text(encoding="utf-8") == _MARKER_TEXT


def stack_lock(run_dir: Path) -> filelock.FileLock:
    """The lock that a running stack's owner holds; the kernel frees it when the owner dies."""
    return filelock.FileLock(run_dir / "stack.lock")


def drive_lock(run_dir: Path) -> filelock.FileLock:
    """The lock of whoever drives runs through the stack (`make run`)."""
    return filelock.FileLock(run_dir / "drive.lock")


def write_state(run_dir: Path, state: StackState) -> None:
    """Tell others about the running stack."""
    write_private(run_dir / _STATE_FILE, asdict(state))


def read_state(run_dir: Path) -> StackState | None:
    """Return what the running (or killed) stack has told, None when there is nothing."""
    try:
        return StackState(**json.loads((run_dir / _STATE_FILE).read_text(encoding="utf-8")))
    except (FileNotFoundError, TypeError, json.JSONDecodeError):
        return None


def forget_state(run_dir: Path) -> None:
    """Take back what was told."""
    for name in (_STATE_FILE, EXPORTS_FILE):
        (run_dir / name).unlink(missing_ok=True)


def sweep(run_dir: Path, *, spare_ours: bool = False) -> int:
    """End every process of the stack, whoever started it, PostgreSQL last; return how many were found.

    The caller holds the stack's lock.

    Args:
        spare_ours: leave out what this process has started itself.
    """
    ended = end_all(run_dir, spare_ours=spare_ours)
    return ended + MetadataStore(run_dir, run_dir / "logs" / "components").stop()


def process_of(pid: int, created: float) -> psutil.Process | None:
    """Return a process if it is still the one that was noted (process numbers are reused)."""
    try:
        process = psutil.Process(pid)
        return process if abs(process.create_time() - created) < 1 else None
    except psutil.NoSuchProcess:
        return None


def free_port(host: str) -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def port_taken(host: str, port: int) -> bool:
    """Whether another program holds a port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
    return False
