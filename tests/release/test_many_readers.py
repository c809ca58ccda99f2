"""Readers during many switches and restores: the API's way, and the ways of those who know one path only."""

from __future__ import annotations

import time
from collections.abc import Callable
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event, Semaphore
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from ml.release import ReleaseStore
from tests.release import processes
from tests.release.conftest import ROWS, Publish

SWITCHES = (30, pytest.param(200, marks=pytest.mark.slow))

Sample = tuple[str, int]
"""What a reader saw: the model's name, which is another for each release, and a digest of all rows and columns."""

DIGEST = "SELECT any_value(model_version), count(DISTINCT model_version), count(*), sum(hash(t)::HUGEINT) FROM {} AS t"


def digest(connection: duckdb.DuckDBPyConnection, source: str) -> Sample:
    """All rows of a source, which are of one release."""
    [(model, models, rows, value)] = connection.execute(DIGEST.format(source)).fetchall()
    assert (models, rows) == (1, ROWS), f"{source}: {models} models, {rows} rows"
    return model, int(value)


def read_as_the_api(instance: Path) -> Sample:
    """Resolve `current` once; then all tables and the Parquet file of that release agree."""
    live = ReleaseStore(instance).live()
    assert live is not None, "no release is live"
    with duckdb.connect(live.database, read_only=True, config={"threads": 1}) as connection:
        table = digest(connection, "claims_ml_scores")
        parquet = digest(connection, f"read_parquet('{live.scores}')")
        columns = ", ".join(connection.table("claims_ml_scores").columns)
        joined = digest(connection, f"(SELECT {columns} FROM claims_high_risk)")
        [(release_id,)] = connection.execute("SELECT value FROM release_info WHERE key = 'release_id'").fetchall()
    assert table == joined == parquet, "tables and Parquet file differ"
    assert release_id == live.id
    assert live.manifest.model_version == table[0]
    return table


def read_duckdb(instance: Path) -> Sample:
    """Somebody who knows only the old path of the database."""
    with duckdb.connect(instance / "analytics.duckdb", read_only=True, config={"threads": 1}) as connection:
        return digest(connection, "claims_ml_scores")


def read_parquet(instance: Path) -> Sample:
    """Somebody who knows only the old path of the Parquet file, and reads it with pyarrow.

    He opens it once: given a path, pyarrow opens it several times, and a switch may come between (docs/publishing.md).
    """
    with (instance / "data" / "claims_ml_scores.parquet").open("rb") as file:
        scores = pq.read_table(file)
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.register("scores", scores)
        return digest(connection, "scores")


def read_parquet_with_duckdb(instance: Path) -> Sample:
    """And somebody who reads it with DuckDB, which opens a path twice a statement too: he resolves the link first."""
    scores = (instance / "data" / "claims_ml_scores.parquet").resolve()
    with duckdb.connect(config={"threads": 1}) as connection:
        return digest(connection, f"read_parquet('{scores}')")


READERS = [read_as_the_api, read_duckdb, read_parquet, read_parquet_with_duckdb]


def keep_reading(
    read: Callable[[Path], Sample], instance: Path, reads: Semaphore, stop: Event, seen: Queue[Any]
) -> None:
    """Read over and over; put what was seen and how often, or the first thing gone wrong."""
    samples: set[Sample] = set()
    count = 0
    try:
        while not stop.is_set():
            samples.add(read(instance))
            count += 1
            reads.release()
    except BaseException as error:
        seen.put(f"{read.__name__}, read {count}: {error!r}")
        for _ in range(1000):  # nobody waits for a reader that has stopped
            reads.release()
        raise
    seen.put((count, samples))


class Reader:
    """A process that reads as fast as it can until the block ends; then `count` and `samples` say what it saw."""

    def __init__(self, read: Callable[[Path], Sample], instance: Path) -> None:
        self._reads, self._stop = processes.SPAWN.Semaphore(0), processes.SPAWN.Event()
        self._queue: Queue[Any] = processes.SPAWN.Queue()
        arguments = (read, instance, self._reads, self._stop, self._queue)
        self._process = processes.SPAWN.Process(target=keep_reading, args=arguments, daemon=True)
        self._process.start()
        self.count, self.samples = 0, set[Sample]()

    def wait_for_a_new_read(self) -> None:
        """Return when a read that began after this call has ended (the one under way began before it)."""
        while self._reads.acquire(block=False):
            pass
        assert self._reads.acquire(timeout=60)
        assert self._reads.acquire(timeout=60)

    def end(self) -> None:
        self._stop.set()
        seen = self._queue.get(timeout=60)
        self._process.join(60)
        assert not isinstance(seen, str), seen
        self.count, self.samples = seen


@pytest.mark.parametrize("switches", SWITCHES)
def test_readers_during_many_switches(
    store: ReleaseStore, instance: Path, publish: Publish, capsys: pytest.CaptureFixture[str], switches: int
) -> None:
    """Red when the link is removed before it is made again, or is switched before its release is complete."""
    older, good = publish("older"), publish("good")
    readers = [Reader(read, instance) for read in READERS]
    began = time.monotonic()
    nights = switches // 8
    for night in range(nights):
        publish(f"night{night}", qc=None)
        readers[night % len(readers)].wait_for_a_new_read()
        assert store.restore(f"night{night}", reason="QC failed").live == good.release_id
    for number in range(switches - 2 * nights):
        target = (older, good)[number % 2]
        assert store.rollback(target.release_id, reason="test", who="ops").restored
    seconds = time.monotonic() - began
    for reader in readers:
        reader.end()

    known: set[Sample] = set()
    with duckdb.connect() as connection:
        for release in store.releases():
            known.add(digest(connection, f"read_parquet('{release.scores}')"))
    with capsys.disabled():
        counts = ", ".join(f"{read.__name__} {r.count}" for read, r in zip(READERS, readers, strict=True))
        print(f"\n  {switches} switches in {seconds:.0f} s; samples: {counts}; 0 errors, 0 mixed")
    for reader in readers:
        assert reader.samples <= known, "a reader saw rows that no release has"
        assert len(reader.samples) > nights // len(readers), "the reader slept"
