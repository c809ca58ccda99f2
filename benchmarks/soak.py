"""Publishers, an operator, readers and a killer at random on one instance; in the end everything must verify.

    python benchmarks/soak.py --minutes 10 --claims 20000

Two publishers compete: what they publish passes its QC, fails it and is restored, or is left unchecked. An operator
rolls back and recovers. Both are killed (SIGKILL) at random moments and replaced. Readers check every row they see.
A clock that runs fast makes releases old enough to be collected. Exit code 1 if anything was off.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from ml.files import sha256_of
from ml.release import Candidate, ReleaseError, ReleaseStore, RunToken

SPAWN = multiprocessing.get_context("spawn")
FAST = 20_000
"""How many times faster than real time the publishers' clock runs: five seconds are more than a day."""
DIGEST = "SELECT any_value(model_version), count(DISTINCT model_version), count(*), sum(hash(t)::HUGEINT) FROM {} AS t"


def store_of(instance: Path) -> ReleaseStore:
    return ReleaseStore(instance, lock_timeout=120, keep=1, threads=1, memory_limit="500MB")


def variant(base: Candidate, folder: Path, name: str) -> Candidate:
    """The same claims with scores that no other release has."""
    folder.mkdir(parents=True)
    scores = pq.read_table(base.scores)
    place = scores.column_names.index("model_version")
    named = scores.set_column(place, "model_version", pa.array([name] * scores.num_rows))
    target = folder / base.scores.name
    pq.write_table(named, target)
    return replace(base, scores=target, scores_sha256=sha256_of(target), model_version=name)


def publisher(instance: Path, base: Candidate, number: int, seed: int, began: float, count: Any) -> None:
    """Publish for ever; some releases pass, some fail and are taken back, some are never checked."""
    luck, store = random.Random(seed), store_of(instance)
    for attempt in range(10**9):
        name = f"publisher{number}-{seed}-{attempt}"
        candidate = variant(base, instance.parent / "candidates" / name, name)
        clock = datetime.now(UTC) - timedelta(days=3000) + timedelta(seconds=FAST * (time.time() - began))
        # A run that was declared dead, by an operator's recover or after a kill, may not publish.
        with suppress(ReleaseError):
            published = store.publish(candidate, RunToken(name, 1), now=clock)
            _add(count, "published")
            fate = luck.random()
            if fate < 0.85:
                store.record_qc(published.release_id, passed=fate < 0.6, log=None)
            if fate >= 0.6 and store.restore(name, reason="QC failed").restored:
                _add(count, "restored")


def operator(instance: Path, seed: int, count: Any) -> None:
    """Roll back and recover now and then, for ever."""
    luck, store = random.Random(seed), store_of(instance)
    while True:
        time.sleep(luck.uniform(0.1, 2))
        with suppress(ReleaseError):  # nothing to go back to just now
            if luck.random() < 0.5:
                if store.rollback(None, reason="soak", who="operator").restored:
                    _add(count, "rolled back")
            elif store.recover().restored:
                _add(count, "recovered")


def reader(instance: Path, kind: str, count: Any, errors: Any) -> None:
    """Read for ever; every sample is whole and of one release."""
    while True:
        try:
            _read(instance, kind)
            _add(count, f"samples of {kind}")
        except Exception as error:  # whatever it is, the soak has failed
            errors.append(f"{kind}: {error!r}")
            time.sleep(0.5)


def _read(instance: Path, kind: str) -> None:
    config = {"threads": 1}
    if kind == "API":
        live = store_of(instance).live()
        assert live is not None, "no release is live"
        with duckdb.connect(live.database, read_only=True, config=config) as connection:
            columns = ", ".join(connection.table("claims_ml_scores").columns)
            joined = f"(SELECT {columns} FROM claims_high_risk)"
            sources = ("claims_ml_scores", f"read_parquet('{live.scores}')", joined)
            seen = {_digest(connection, source) for source in sources}
        assert len(seen) == 1, f"{live.id}: tables and Parquet file differ"
        assert seen.pop()[0] == live.manifest.model_version, f"{live.id}: another model"
    elif kind == "DuckDB":
        with duckdb.connect(instance / "analytics.duckdb", read_only=True, config=config) as connection:
            _digest(connection, "claims_ml_scores")
    else:
        with (instance / "data" / "claims_ml_scores.parquet").open("rb") as file:
            models = set(pq.read_table(file)["model_version"].to_pylist())
        assert len(models) == 1, f"{len(models)} models in one file"


def _digest(connection: duckdb.DuckDBPyConnection, source: str) -> tuple[str, int]:
    [(model, models, _, digest)] = connection.execute(DIGEST.format(source)).fetchall()
    assert models == 1, f"{source}: {models} models"
    return model, int(digest)


def _add(count: Any, what: str) -> None:
    count[what] = count.get(what, 0) + 1  # one process a key, or nearly: a lost addition does no harm


def soak(instance: Path, base: Candidate, minutes: float, seed: int) -> bool:
    luck, began = random.Random(seed), time.time()
    store = store_of(instance)
    for name in ("first", "second"):
        candidate = variant(base, instance.parent / "candidates" / name, name)
        start = datetime.now(UTC) - timedelta(days=3001)
        store.record_qc(store.publish(candidate, RunToken(name, 1), now=start).release_id, passed=True, log=None)

    with SPAWN.Manager() as manager:
        count, errors = manager.dict(), manager.list()

        def start(kind: str) -> SpawnProcess:
            arguments: tuple[Any, ...] = (instance, luck.randrange(10**9), count)
            if kind != "operator":
                number = int(kind[-1])
                arguments = (instance, base, number, luck.randrange(10**9), began, count)
            target = operator if kind == "operator" else publisher
            process = SPAWN.Process(target=target, args=arguments, daemon=True)
            process.start()
            return process

        readers = [
            SPAWN.Process(target=reader, args=(instance, kind, count, errors), daemon=True)
            for kind in ("API", "DuckDB", "Parquet")
        ]
        for process in readers:
            process.start()
        working = {kind: start(kind) for kind in ("publisher1", "publisher2", "operator")}
        kills, most, deadline = Counter[str](), 0, began + 60 * minutes
        while time.time() < deadline and not errors:
            time.sleep(luck.uniform(1, 6))
            kind = luck.choice(list(working))
            working[kind].kill()
            working[kind].join()
            kills[kind] += 1
            working[kind] = start(kind)
            most = max(most, _size(instance / "releases"))
        for process in [*working.values(), *readers]:
            process.kill()
            process.join()
        return _report(store, dict(count), list(errors), kills, most, time.time() - began)


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):  # collected meanwhile
            total += path.lstat().st_size
    return total


def _report(
    store: ReleaseStore, count: dict[str, int], errors: list[str], kills: Counter[str], most: int, seconds: float
) -> bool:
    recovered = store.recover()
    problems = {release_id: store.verify(release_id) for release_id in store.ids()}
    damaged = {release_id: found for release_id, found in problems.items() if found}
    live = store.live()
    print(f"{seconds:.0f} s")
    for what, times in sorted(count.items()):
        print(f"{times:7,}  {what}")
    print(f"{kills.total():7,}  killed ({', '.join(f'{kind} {times}' for kind, times in sorted(kills.items()))})")
    print(f"{len(errors):7,}  readers' errors, mixed or missing releases")
    for error in errors[:10]:
        print(f"         {error}")
    print(f"{len(problems):7,}  releases in the end, {len(damaged)} damaged; at most {most / 1e6:,.0f} MB on disk")
    print(f"         the last recover: {recovered.message[:200]}; live: {live.id if live else 'none'}")
    return not errors and not damaged and live is not None


def main() -> None:
    from bench_publish import make_candidate  # here, so that the processes start without what only scoring needs

    from ml.scoring.score import load_candidate

    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--minutes", type=float, default=10)
    arguments.add_argument("--claims", type=int, default=20_000)
    arguments.add_argument("--seed", type=int, default=1)
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {
            "CLAIMS_INSTANCE_DIR": f"{folder}/instance",
            "CLAIMS_RAW_DIR": f"{folder}/raw",
            "CLAIMS_PATIENT_KEY_SECRET": "a-secret-for-the-benchmark",
        }
        base = load_candidate(make_candidate(chosen.claims))
        good = soak(Path(folder) / "instance", base, chosen.minutes, chosen.seed)
    raise SystemExit(not good)


if __name__ == "__main__":
    main()
