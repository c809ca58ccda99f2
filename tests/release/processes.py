"""What the tests run in processes of their own: publishers that die, publishers that compete, readers that look on."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from multiprocessing.context import ForkServerProcess
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from ml.release import Candidate, ReleaseStore, RunToken, failpoint, steps
from tests.release.conftest import ROWS

SPAWN = multiprocessing.get_context("forkserver")  # a plain fork would copy DuckDB's threads half-way
SPAWN.set_forkserver_preload(["tests.release.processes"])


def run(target: Callable[..., None], *arguments: Any) -> int:
    """Run a function in a process of its own and return its exit code; minus the signal if one killed it."""
    process = SPAWN.Process(target=target, args=arguments, daemon=True)
    process.start()
    process.join(60)
    assert process.exitcode is not None, "the process hangs"
    return process.exitcode


def _store(instance: Path) -> ReleaseStore:
    return ReleaseStore(instance, lock_timeout=30, keep=1, threads=1, memory_limit="500MB")


def publish(
    instance: Path, candidate: Candidate, token: RunToken, point: str | None = None, now: datetime | None = None
) -> None:
    _arm(point)
    _store(instance).publish(candidate, token, now=now)


def restore(instance: Path, who: RunToken | str, point: str | None = None) -> None:
    _arm(point)
    _store(instance).restore(who, reason="crash test")


def recover(instance: Path, point: str | None = None) -> None:
    _arm(point)
    _store(instance).recover()


def rollback(instance: Path, to: str, point: str | None = None) -> None:
    _arm(point)
    _store(instance).rollback(to, reason="crash test", who="ops")


def killed_at_random(target: Callable[..., None], arguments: tuple[Any, ...], since: str, pause: float) -> Killed:
    """Run something in a process of its own; SIGKILL it `pause` seconds after it came to a point of the protocol."""
    reached, last = SPAWN.Event(), SPAWN.Array("c", 40, lock=False)  # a lock could die with its holder
    process = SPAWN.Process(target=_tell, args=(reached, last, since, target, arguments), daemon=True)
    process.start()
    assert reached.wait(60), f"{since} was not reached"
    began = time.monotonic()
    while (seconds := time.monotonic() - began) < pause and last.value != ENDED:
        time.sleep(min(0.001, pause - seconds))
    process.kill()
    process.join(60)
    assert process.exitcode is not None
    return Killed(None if last.value == ENDED else last.value.decode(), seconds)


class Killed(NamedTuple):
    """The point of the protocol that a killed process passed last, None if it had ended its work; its working time."""

    last: str | None
    seconds: float


ENDED = b"ended"


def _tell(reached: Event, last: Any, since: str, target: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    def watch(point: str) -> None:
        last.value = point.encode()
        if point == since:
            reached.set()

    steps.watcher = watch
    target(*arguments)
    last.value = ENDED


def _arm(point: str | None) -> None:
    """Die at a point of the protocol; these processes are forked from one that has long read its environment."""
    if point is not None:
        failpoint.arm(point)


@contextmanager
def at_work(instance: Path, run_id: str) -> Iterator[None]:
    """Have another process at work on a run, and kill it at the end of the block."""
    started = SPAWN.Event()
    process = SPAWN.Process(target=_work, args=(instance, run_id, started), daemon=True)
    process.start()
    try:
        assert started.wait(30)
        yield
    finally:
        process.kill()
        process.join(30)


def _work(instance: Path, run_id: str, started: Event) -> None:
    with _store(instance).running(run_id):
        started.set()
        time.sleep(600)


class Halted:
    """A publisher that has halted at a point of the protocol."""

    def __init__(self, process: ForkServerProcess) -> None:
        self._process = process

    def go_on(self) -> int | None:
        """Let it run to its end, and return its exit code."""
        assert self._process.pid is not None
        os.kill(self._process.pid, signal.SIGCONT)
        self._process.join(60)
        return self._process.exitcode


@contextmanager
def halted_at(point: str, instance: Path, candidate: Candidate, token: RunToken) -> Iterator[Halted]:
    """Start a publisher in a process of its own, and wait until it has halted."""
    arguments = (instance, candidate, token, f"{point}:stop")
    process = SPAWN.Process(target=publish, args=arguments, daemon=True)
    process.start()
    try:
        deadline = time.monotonic() + 60
        while _state(process.pid) != "T":
            assert time.monotonic() < deadline, "the publisher did not halt"
            time.sleep(0.01)
        yield Halted(process)
    finally:
        process.kill()
        process.join(60)


def _state(pid: int | None) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]


def compete(instance: Path, candidates: list[Candidate], run_id: str, start: Barrier) -> None:
    """Publish candidates one after the other, together with whoever waits at the same barrier."""
    start.wait(30)
    for number, candidate in enumerate(candidates, start=1):
        _store(instance).publish(candidate, RunToken(run_id, number))


def assert_whole(database: Path, scores: Path | None, release_id: str | None, model: str | None) -> None:
    """All tables of the file, and the Parquet file, are of one release."""
    sources = ["claims_ml_scores", "claims_high_risk"] + ([f"read_parquet('{scores}')"] if scores else [])
    models = " UNION ALL ".join(f"SELECT model_version, count(*) FROM {source} GROUP BY ALL" for source in sources)
    with duckdb.connect(database, read_only=True, config={"threads": 1}) as connection:
        info = dict(connection.execute("SELECT key, value FROM release_info").fetchall())
        assert info["release_id"] == (release_id or info["release_id"])
        assert info["model_version"] == (model or info["model_version"])
        assert connection.execute(models).fetchall() == [(info["model_version"], ROWS)] * len(sources), info
