"""Recover: what it gives up, what it leaves alone, and that damage and rubbish do not stop it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml.files import sha256_of
from ml.release import ReleaseError, ReleaseStore, verify
from ml.release.verify import stat_of
from tests.release import processes
from tests.release.conftest import Publish
from tests.release.instances import is_noop, live_id, spoil


@pytest.mark.parametrize("qc", [None, False])
def test_recover_gives_up_what_a_dead_run_left(store: ReleaseStore, publish: Publish, qc: bool | None) -> None:
    good = publish("good")
    died = publish("died", qc=qc)
    restored = store.recover(current_run="tonight")
    assert (restored.restored, restored.live, restored.was) == (True, good.release_id, died.release_id)
    assert "run died" in restored.message
    assert is_noop(store, store.recover(current_run="tonight"), good)
    with pytest.raises(ReleaseError, match="declared dead"):
        publish("died", 1)


def test_recover_leaves_a_good_release_and_the_current_runs_own(store: ReleaseStore, publish: Publish) -> None:
    good = publish("good")
    assert is_noop(store, store.recover(), good)
    own = publish("tonight", qc=None)
    assert is_noop(store, store.recover(current_run="tonight"), own)
    store.record_qc(own.release_id, passed=False, log=None)
    assert store.recover(current_run="tonight").live == good.release_id


def test_recover_gives_up_one_dead_run_after_another(store: ReleaseStore, publish: Publish) -> None:
    good = publish("good")
    publish("died", qc=None)
    last = publish("died too", qc=None)
    restored = store.recover()
    assert (restored.live, restored.was) == (good.release_id, last.release_id)


def test_recover_says_that_the_live_release_is_damaged_and_leaves_it(store: ReleaseStore, publish: Publish) -> None:
    good, damaged = publish("good"), publish("damaged")
    spoil(damaged, "claims_ml_scores.parquet")
    told = store.recover()
    assert (told.restored, told.live) == (False, damaged.release_id)
    assert "claims_ml_scores.parquet is not what was published" in told.damage[0]
    assert "IS DAMAGED" in told.message
    assert f"the best alternative is {good.release_id}" in told.message
    assert store.rollback(None, reason="as advised", who="ops").live == good.release_id
    assert store.recover().damage == ()


def test_a_quick_recover_hashes_only_what_was_written_to(
    store: ReleaseStore, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The watchdog's, every five minutes; the files are large."""
    live, hashed = publish("live"), []

    def seen(path: Path) -> str:
        hashed.append(path.name)
        return sha256_of(path)

    monkeypatch.setattr(verify, "sha256_of", seen)
    assert is_noop(store, store.recover(quick=True), live)
    assert {*hashed} == {"manifest.json"}
    assert is_noop(store, store.recover(), live)
    assert {"analytics.duckdb", "claims_ml_scores.parquet"} <= {*hashed}
    spoil(live)
    assert "analytics.duckdb is not what was published" in store.recover(quick=True).damage[0]


def test_what_rots_without_a_write_is_seen_by_a_full_recover_and_never_gone_back_to(
    store: ReleaseStore, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, rotten = publish("good"), publish("rotten")
    sealed = {path: verify.stat_of(path) for path in rotten.path.iterdir()}
    spoil(rotten)
    monkeypatch.setattr(verify, "stat_of", lambda path: sealed.get(path) or stat_of(path))
    assert is_noop(store, store.recover(quick=True), rotten)
    assert store.recover(quick=True).damage == ()
    assert "analytics.duckdb is not what was published" in store.recover().damage[0]
    publish("died", qc=None)
    assert store.recover(quick=True).live == good.release_id


@pytest.mark.parametrize("others", [True, False])
def test_recover_gives_up_a_damaged_live_release_when_allowed(
    store: ReleaseStore, publish: Publish, others: bool
) -> None:
    older = publish("older") if others else None
    if others:
        spoil(publish("damaged too"))
    damaged = publish("damaged")
    spoil(damaged)
    restored = store.recover(give_up_damaged=True)
    assert (restored.restored, restored.was, restored.damage) == (True, damaged.release_id, ())
    assert restored.live == (older.release_id if older else None) == live_id(store)


def test_a_damaged_release_of_a_dead_run_is_given_up_unasked(store: ReleaseStore, publish: Publish) -> None:
    good = publish("good")
    spoil(publish("died", qc=None))
    assert store.recover().live == good.release_id


def test_recover_after_the_live_release_has_vanished(store: ReleaseStore, instance: Path, publish: Publish) -> None:
    good, vanished = publish("good"), publish("vanished")
    vanished.path.rename(instance / "elsewhere")
    with pytest.raises(ReleaseError, match="there is no release"):
        store.live()
    assert "there is no release" in store.recover().damage[0]
    assert store.recover(give_up_damaged=True).live == good.release_id


def test_recover_leaves_a_run_alone_whose_qc_is_still_to_come(
    store: ReleaseStore, instance: Path, publish: Publish
) -> None:
    """A backfill's recover runs between publish and QC of the nightly run, or of the refresh command."""
    publish("good")
    night = publish("night", qc=None)
    assert is_noop(store, store.recover(current_run="backfill", is_running=lambda run_id: run_id == "night"), night)
    with processes.at_work(instance, "night"):
        assert is_noop(store, store.recover(current_run="backfill"), night)
    assert store.recover(current_run="backfill").restored  # that process was killed


def test_recover_without_the_journal_takes_nothing_away(store: ReleaseStore, instance: Path, publish: Publish) -> None:
    publish("good")
    live = publish("tonight")
    (instance / "releases" / "journal.jsonl").unlink()
    assert is_noop(store, store.recover(), live)


def test_recover_on_an_empty_instance_makes_nothing(store: ReleaseStore, instance: Path) -> None:
    assert is_noop(store, store.recover(), None)
    assert not instance.exists()
    instance.mkdir()
    assert is_noop(store, store.recover(), None)
    assert list(instance.iterdir()) == []


def test_recover_survives_rubbish(store: ReleaseStore, instance: Path) -> None:
    releases = instance / "releases"
    for folder in (
        releases / ".building-x" / "deep",
        releases / ".trash-y",
        releases / "not-a-release",
        instance / "data",
    ):
        folder.mkdir(parents=True)
        (folder / "file").write_bytes(b"\x00\xff")
    (releases / "a file").write_text("?")
    (releases / "journal.jsonl").write_bytes(b'\x00\xff\n{"event": "unknown"}\n[]\n{"at"')
    (instance / ".current.123").symlink_to("releases/nowhere")
    (instance / "current").symlink_to("/somewhere/else")
    restored = store.recover()
    assert not restored.restored
    assert "/somewhere/else" in restored.message
    assert sorted(path.name for path in releases.iterdir()) == [".lock", "a file", "journal.jsonl", "not-a-release"]
    assert not (instance / ".current.123").is_symlink()

    (instance / "current").unlink()
    (instance / "current").symlink_to("releases/nowhere")
    assert "there is no release nowhere" in store.recover().damage[0]
    assert store.recover(give_up_damaged=True).live is None
    assert store.live() is None
    assert store.releases() == []
