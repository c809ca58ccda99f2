"""Publish, switch, restore and verify a release of real size, and what its readers notice.

    python benchmarks/bench_publish.py --claims 1176438

Makes claims and scores as a night does, publishes them several times, and prints medians as a Markdown table. What is
compared (restore with and without hashing, readers with and without switches) is measured in one run.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import date
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path

import duckdb

from ml import nightly
from ml.claims.etl import publish_claims, run_sql_steps, start_build
from ml.release import ReleaseStore, RunToken, steps, verify
from ml.sample import GeneratorConfig, generate, write
from ml.scoring.score import load_candidate
from ml.settings import load_settings

DATA_DATE = date(2022, 12, 31)
ROUNDS = 5
SWITCHES = 60


def make_candidate(claims: int) -> Path:
    """Do what a night does up to the audit; return the candidate's folder."""
    settings = load_settings()
    write(generate(GeneratorConfig(claims=claims, seed=7)), settings.raw, "parquet")
    build, _ = start_build(settings, DATA_DATE, "bench")
    run_sql_steps(settings, build)
    publish_claims(settings, build)
    scored = nightly.score(settings, RunToken("bench", 1))
    nightly.audit(settings, scored.folder)
    return Path(scored.folder)


class Stopwatch:
    """How long each step of the protocol took, in the order they were done."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {}
        self._began: dict[str, float] = {}
        steps.watcher = self._watch

    def _watch(self, reached: str) -> None:
        moment, _, name = reached.partition(":")
        if moment == "before":
            self._began[name] = time.perf_counter()
        else:
            self.seconds.setdefault(name, []).append(time.perf_counter() - self._began[name])


def timed(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def written_bytes() -> int:
    """Bytes that this process has sent to the storage layer so far."""
    lines = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(lines["write_bytes"])


def read(instance: Path, stop: Event, answer: Connection) -> None:
    """A reader as the API is one; sends the seconds of every request."""
    store, seconds = ReleaseStore(instance), []
    while not stop.is_set():
        began = time.perf_counter()
        live = store.live()
        assert live is not None
        with duckdb.connect(live.database, read_only=True, config={"threads": 1}) as connection:
            connection.execute(
                "SELECT claim_id, risk_score FROM claims_high_risk WHERE service_type = 'RITL' AND severity_group = "
                "'sedang' ORDER BY risk_score DESC, ml_score DESC LIMIT 5"
            ).fetchall()
        seconds.append(time.perf_counter() - began)
    answer.send(seconds)


def readers_notice(instance: Path, work: Callable[[], None]) -> list[float]:
    """The seconds of every request of a reader while something is done."""
    spawn = multiprocessing.get_context("spawn")
    receiver, sender = spawn.Pipe(duplex=False)
    stop = spawn.Event()
    process = spawn.Process(target=read, args=(instance, stop, sender))
    process.start()
    time.sleep(1)
    work()
    stop.set()
    seconds: list[float] = receiver.recv()
    process.join()
    return seconds[1:]  # without the first, which warms up


def milliseconds(values: list[float]) -> str:
    return f"{1000 * statistics.median(values):,.1f} ms (max {1000 * max(values):,.1f})"


def measure(folder: Path) -> None:
    settings = load_settings()
    store, candidate, watch = nightly.store_of(settings), load_candidate(folder), Stopwatch()
    rows: list[tuple[str, str]] = []

    publishes, written = [], []
    for number in range(ROUNDS + 1):
        before = written_bytes()
        seconds = timed(lambda number=number: store.publish(candidate, RunToken(f"run{number}", 1)))
        store.record_qc(str(store.live_id()), passed=True, log=None)
        if number:
            publishes.append(seconds)
            written.append(written_bytes() - before)
        else:
            rows.append(("publish, nothing live before", f"{seconds:.1f} s"))
    live = store.live()
    assert live is not None
    size = sum(file.size for file in live.manifest.files.values())
    rows.append(("publish with a full backup", f"{statistics.median(publishes):.1f} s"))
    for name in ("build", "compare", "seal"):
        rows.append((f"- of it {name}", f"{statistics.median(watch.seconds[name]):.2f} s"))
    rows.append(("a release on disk", f"{size / 1e6:,.0f} MB"))
    rows.append(("bytes written by a publish", f"{statistics.median(written) / 1e6:,.0f} MB"))
    rows.append(("the switch itself, fsync included", milliseconds(watch.seconds["switch"])))

    restores: dict[bool, list[float]] = {True: [], False: []}
    real = verify.stat_of
    for number in range(2 * ROUNDS):
        hashing = bool(number % 2)
        run = f"failed{number}"
        store.publish(candidate, RunToken(run, 1))
        verify.stat_of = (lambda _: "changed") if hashing else real  # type: ignore[assignment]
        restores[hashing].append(timed(lambda run=run: store.restore(run, reason="bench")))
        verify.stat_of = real
    quick, full = statistics.median(restores[False]), statistics.median(restores[True])
    rows.append(("restore", milliseconds(restores[False])))
    rows.append(("restore that hashes its target", f"{milliseconds(restores[True])}, {full / quick:.1f} times"))
    idle = [timed(lambda: store.restore("never published", reason="bench")) for _ in range(9)]
    rows.append(("restore, nothing to do", milliseconds(idle)))
    rows.append(("recover, nothing to do", milliseconds([timed(store.recover) for _ in range(5)])))
    rows.append(("verify", milliseconds([timed(lambda: store.verify(live.id)) for _ in range(3)])))
    rows.append(("live()", milliseconds([timed(store.live) for _ in range(200)])))

    ids = [release.id for release in store.releases() if store.qc_passed(release.id)][-2:]
    quiet = readers_notice(store._room.instance, lambda: time.sleep(5))

    def switch() -> None:
        for number in range(SWITCHES):
            store._room.switch(ids[number % 2])  # nothing but the switch: no hashing beside it
            time.sleep(0.05)

    busy = readers_notice(store._room.instance, switch)
    rows.append((f"a reader's request, no switches ({len(quiet)})", milliseconds(quiet)))
    rows.append((f"a reader's request during {SWITCHES} switches ({len(busy)}), 0 errors", milliseconds(busy)))
    print(f"\n{live.manifest.rows:,} claims, medians of {ROUNDS}\n\n| what | time or size |\n|---|---|")
    for name, value in rows:
        print(f"| {name} | {value} |")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--claims", type=int, default=1_176_438)
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {
            "CLAIMS_INSTANCE_DIR": f"{folder}/instance",
            "CLAIMS_RAW_DIR": f"{folder}/raw",
            "CLAIMS_PATIENT_KEY_SECRET": "a-secret-for-the-benchmark",
        }
        measure(make_candidate(chosen.claims))


if __name__ == "__main__":
    main()
