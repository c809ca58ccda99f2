"""Starting the stack's processes, and finding and ending every one of them, whoever started it and is still alive.

Parents cannot be relied upon: a killed `make up` leaves orphans, Airflow's tasks and workers change their process
group. What all descendants keep is their environment, so the stack marks it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

MARK = "CLAIMS_LOCAL_AIRFLOW"
"""Environment variable that names, in every process of a stack, the state directory of that stack."""

GRACE_SECONDS = 10.0
API_GRACE_SECONDS = 1.0  # it keeps nothing that could be lost


@dataclass(frozen=True)
class Component:
    """A started process and where its output goes."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    started: float = field(default_factory=time.monotonic)

    def tail(self, lines: int = 20) -> str:
        """The last lines of its output."""
        return tail_of(self.log, lines)


def spawn(name: str, command: Sequence[str], environ: Mapping[str, str], log_dir: Path) -> Component:
    """Start a process in a session of its own: Ctrl-C reaches only the foreground process, which ends the others."""
    log_dir.mkdir(parents=True, exist_ok=True)
    log = log_dir / f"{name}.log"
    if log.exists():
        log.replace(log.with_suffix(".previous.log"))
    with log.open("wb") as output:
        process = subprocess.Popen(
            list(command),
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Component(name, process, log)


def marked_processes(run_dir: Path, *, spare_ours: bool = False) -> list[psutil.Process]:
    """Return the living processes that carry the mark of a state directory, and their descendants.

    Args:
        spare_ours: leave out what this process has started itself.
    """
    found: dict[int, psutil.Process] = {}
    ours = set(psutil.Process().children(recursive=True)) if spare_ours else set()
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == str(run_dir):
                found[process.pid] = process
                found |= {child.pid: child for child in process.children(recursive=True)}
    return [process for process in found.values() if process not in ours and _alive(process)]


def session_of(run_dir: Path, component: Component) -> list[psutil.Process]:
    """Return what a component has started and still lives, parents first, also when the component itself has ended.

    Airflow's workers and tasks change their process group but not their session, and a session's number is not given
    to another process while one of them lives.
    """
    found = []
    for process in marked_processes(run_dir):
        with suppress(psutil.Error, ProcessLookupError):
            if os.getsid(process.pid) == component.process.pid:
                found.append((process.create_time(), process.pid, process))
    return [process for _, _, process in sorted(found)]


def kill_session(run_dir: Path, component: Component) -> None:
    """Kill a component (SIGKILL), if it still lives, and what it has started; wait until all have ended."""
    component.process.kill()
    left = session_of(run_dir, component)
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    _wait(left, GRACE_SECONDS)
    component.process.wait()


def end(processes: Iterable[psutil.Process], grace: float = GRACE_SECONDS) -> None:
    """Ask processes to end (SIGTERM), and kill what is still there after `grace` seconds."""
    asked = list(processes)
    for process in asked:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    alive = _wait(asked, grace)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    _wait(alive, grace)


def end_all(run_dir: Path, *, spare_ours: bool = False) -> int:
    """End every marked process of a stack, the API server last; return how many there were.

    Tasks report their end to the API server, so it outlives them. What is started meanwhile is found in a next round.
    """
    ended = 0
    for _ in range(5):
        living = marked_processes(run_dir, spare_ours=spare_ours)
        if not living:
            break
        ended += len(living)
        first = [process for process in living if not _is_api_server(process)]
        # A scheduler that is asked once waits for its tasks; these are asked, too, so nobody waits for long.
        end(first)
        end((process for process in living if process not in first), API_GRACE_SECONDS)
    return ended


def interrupt(process: psutil.Process, grace: float = GRACE_SECONDS) -> None:
    """End a process by SIGINT (PostgreSQL: fast shutdown), after `grace` seconds by SIGKILL."""
    with suppress(psutil.NoSuchProcess):
        process.send_signal(signal.SIGINT)
        if _wait([process], grace):
            process.kill()
            _wait([process], grace)


def tail_of(log: Path, lines: int) -> str:
    """Return the last lines of a file, "" when there is none."""
    try:
        return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ""


def _wait(processes: Iterable[psutil.Process], timeout: float) -> list[psutil.Process]:
    """Wait until processes have ended; return those that have not.

    A zombie has ended: in a container whose first process adopts orphans without burying them, it stays for ever.
    Collecting it would be wrong, too, since its exit code belongs to whoever started it.
    """
    deadline = time.monotonic() + timeout
    while (alive := [process for process in processes if _alive(process)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return alive


def _alive(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _is_api_server(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        command = " ".join(process.cmdline())
        return "api-server" in command or "api_server" in command
    return False
