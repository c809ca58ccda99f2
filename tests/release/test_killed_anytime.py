"""SIGKILL at random moments of publish, collection, restore, recover and rollback, 300 times."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ml.release import ReleaseStore, RunToken
from tests.release import processes
from tests.release.conftest import write_candidate

KILLS = int(os.environ.get("CLAIMS_TEST_KILLS", "300"))
WORKERS = 2
SEED = 20261124


class Victim:
    """An instance, and processes on it that are killed while they work."""

    def __init__(self, root: Path, seed: int) -> None:
        self.root, self.instance = root, root / "instance"
        self.luck = random.Random(seed)  # noqa: S311 - repeatable, not secret
        # Like processes._store: keeps as little as it may, so that every publish collects.
        self.store = ReleaseStore(self.instance, lock_timeout=30, keep=1, threads=1, memory_limit="500MB")
        self.died: Counter[str] = Counter()
        self.made = 0
        self.moment = datetime.now(UTC) - timedelta(days=5000)
        self.let_through = 0
        self.seconds: dict[tuple[str, str], float] = {}
        self.publish_good()
        self.good = self.publish_good()

    def publish_good(self) -> str:
        """Publish a release that passes its QC."""
        candidate, token = self.next_run()
        release_id = self.store.publish(candidate, token, now=self.moment).release_id
        self.store.record_qc(release_id, passed=True, log=None)
        return release_id

    def next_run(self) -> tuple[Any, RunToken]:
        """A new run with its candidate, some days after the one before: what is old enough is collected."""
        self.made += 1
        self.moment += timedelta(days=2)
        name = f"run{self.made}"
        return write_candidate(self.root / name, model=name), RunToken(name, 1)

    def kill(self, name: str, since: str, target: Callable[..., None], *arguments: Any) -> None:
        """Run something in a process of its own and kill it at a random moment of its work after a point.

        The first run of each kind is let through, and tells how long the work takes. Only a kill that came before the
        work was done counts.
        """
        pause = self.luck.uniform(0, self.seconds.get((name, since), 30))
        killed = processes.killed_at_random(target, (self.instance, *arguments), since, pause)
        if killed.last is None:
            self.let_through += 1
            self.seconds[name, since] = killed.seconds
        else:
            self.died[f"{name}, {killed.last.replace(':', ' ')}"] += 1

    def one_round(self) -> None:
        """Kill something, look at what is left, and make it good again."""
        self.luck.choices([self.publish, self.restore, self.recover, self.rollback], [6, 2, 1, 2])[0]()
        live = self.live()
        assert live == self.good
        if self.made % 10 == 0:
            assert [self.store.verify(release.id) for release in self.store.releases()] == [[]] * len(
                self.store.releases()
            )

    def live(self) -> str:
        """The live release, which a reader finds whole and which verifies."""
        live = self.store.live()
        assert live is not None
        processes.assert_whole(live.database, live.scores, live.id, live.manifest.model_version)
        assert self.store.verify(live.id) == []
        return live.id

    def publish(self) -> None:
        """Old or new; recover gives up what was not checked; the next try goes through."""
        candidate, token = self.next_run()
        # Building takes most of the time; half of the kills fall on what follows it.
        since = self.luck.choice(["before:lock", "before:rename"])
        self.kill("publish", since, processes.publish, candidate, token, None, self.moment)
        new = [release.id for release in self.store.releases() if release.manifest.run_id == token.run_id]
        live = self.live()
        assert live in (self.good, *new)
        assert self.store.recover(current_run="next").restored == (live != self.good)
        assert self.live() == self.good
        left = [*self.instance.glob(".*"), *(self.instance / "releases").glob(".[!wlr]*")]
        assert [path.name for path in left] == []
        published = self.store.publish(candidate, RunToken(token.run_id, 2), now=self.moment)
        assert self.live() == published.release_id
        assert published.previous == self.good
        if self.luck.random() < 0.5:
            self.store.record_qc(published.release_id, passed=True, log=None)
            self.good = published.release_id
        else:
            assert self.store.restore(RunToken(token.run_id, 2), reason="QC failed").restored

    def restore(self) -> None:
        self._go_back(lambda run_id: self.kill("restore", "before:back_decide", processes.restore, run_id))

    def recover(self) -> None:
        self._go_back(lambda _: self.kill("recover", "before:back_decide", processes.recover))

    def _go_back(self, kill: Callable[[str], None]) -> None:
        """The failed release or the good one; a second restore ends what the first began."""
        candidate, token = self.next_run()
        failed = self.store.publish(candidate, token, now=self.moment).release_id
        kill(token.run_id)
        live = self.live()
        assert live in (self.good, failed)
        assert self.store.restore(token.run_id, reason="again").restored == (live == failed)

    def rollback(self) -> None:
        """The live release or the chosen one, and the choice stands."""
        before = self.store.get(self.good).manifest.previous
        assert before is not None
        self.kill("rollback", "before:back_decide", processes.rollback, before)
        live = self.live()
        assert live in (self.good, before)
        assert not self.store.recover(current_run="next").restored
        self.store.rollback(self.good, reason="back again", who="ops")


@pytest.mark.parametrize("kills", [12, pytest.param(KILLS, marks=pytest.mark.slow)])
def test_killed_at_random_times(tmp_path: Path, capsys: pytest.CaptureFixture[str], kills: int) -> None:
    def work(worker: int) -> Victim:
        victim = Victim(tmp_path / f"worker{worker}", SEED + worker)
        while victim.died.total() < kills // WORKERS:
            victim.one_round()
        return victim

    with ThreadPoolExecutor(WORKERS) as pool:
        victims = list(pool.map(work, range(WORKERS)))
    died = sum((victim.died for victim in victims), Counter[str]())
    with capsys.disabled():
        ended = sum(victim.let_through for victim in victims)
        print(f"\n  {died.total()} processes killed at work, {ended} more ended first; seed {SEED}; 0 mixed, 0 lost.")
        for where, times in sorted(died.items()):
            print(f"    {times:4}  {where}")
    assert died.total() == kills // WORKERS * WORKERS
