"""Every process of a stack is found and ended, also what has left its parent, session and manners."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from ops.local_airflow.processes import MARK, end, end_all, marked_processes, spawn
from ops.local_airflow.state import StackState, make_run_dir, process_of, read_state, stack_lock, write_state

# A parent that dies at once and leaves a grandchild in a session of its own, deaf to SIGTERM.
ORPHAN = """
import os, signal, sys, time
if os.fork():
    os._exit(0)
os.setsid()
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(600)
"""


def marked(run_dir: Path) -> dict[str, str]:
    return {**os.environ, MARK: str(run_dir)}


def wait_for(log: Path, text: str) -> None:
    deadline = time.monotonic() + 20
    while text not in log.read_text():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.02)


def test_orphans_are_found_by_their_mark_and_killed(tmp_path: Path) -> None:
    started = spawn("orphan", [sys.executable, "-c", ORPHAN], marked(tmp_path), tmp_path)
    started.process.wait()
    wait_for(started.log, "deaf")
    (orphan,) = marked_processes(tmp_path)
    end([orphan], grace=0.2)
    assert marked_processes(tmp_path) == []


def test_only_the_processes_of_this_stack_are_ended(tmp_path: Path) -> None:
    sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
    ours, other = tmp_path / "ours", tmp_path / "other"
    mine = spawn("mine", sleep, marked(ours), ours)
    foreign = spawn("foreign", sleep, marked(other), other)
    try:
        assert end_all(ours) == 1
        assert mine.process.wait() == -signal.SIGTERM
        assert foreign.process.poll() is None
    finally:
        foreign.process.kill()
        foreign.process.wait()


def test_children_of_the_caller_can_be_spared(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], env=marked(tmp_path))
    try:
        assert end_all(tmp_path, spare_ours=True) == 0
        assert child.poll() is None
    finally:
        child.kill()
        child.wait()


def test_output_of_the_former_start_is_kept(tmp_path: Path) -> None:
    for word in ("first", "second"):
        spawn("component", [sys.executable, "-c", f"print('{word}')"], os.environ, tmp_path).process.wait()
    assert (tmp_path / "component.log").read_text() == "second\n"
    assert (tmp_path / "component.previous.log").read_text() == "first\n"


def test_a_reused_process_number_is_not_the_owner(tmp_path: Path) -> None:
    make_run_dir(tmp_path / "run")
    created = psutil.Process().create_time()
    assert process_of(os.getpid(), created) is not None
    state = StackState(os.getpid(), created - 3600, "up", "http://127.0.0.1:1", "/instance", "/raw")
    write_state(tmp_path / "run", state)
    assert read_state(tmp_path / "run") == state
    assert state.owner() is None


def test_lock_of_a_killed_owner_is_free(tmp_path: Path) -> None:
    hold = (
        "import sys, time; from pathlib import Path; from ops.local_airflow.state import stack_lock;"
        "lock = stack_lock(Path(sys.argv[1])); lock.acquire(timeout=0); print('held', flush=True); time.sleep(600)"
    )
    holder = spawn("holder", [sys.executable, "-c", hold, str(tmp_path)], marked(tmp_path), tmp_path)
    wait_for(holder.log, "held")
    lock = stack_lock(tmp_path)
    try:
        lock.acquire(timeout=0)
        raise AssertionError("the lock does not lock")
    except TimeoutError:
        pass
    holder.process.kill()
    holder.process.wait()
    lock.acquire(timeout=5)
    lock.release()
