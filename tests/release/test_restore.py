"""Restore, recover and rollback: what they put back, and all the times they must do nothing."""

from __future__ import annotations

import json
import os
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from ml.release import Published, ReleaseError, ReleaseStore, Restored, RunToken
from tests.release import processes
from tests.release.conftest import DATE, MakeCandidate, Publish


def live_id(store: ReleaseStore) -> str | None:
    live = store.live()
    return None if live is None else live.id


def is_noop(store: ReleaseStore, restored: Restored, live: Published | None) -> bool:
    expected = None if live is None else live.release_id
    return (
        not restored.restored and restored.live == restored.was == expected == live_id(store) and restored.message != ""
    )


def spoil(published: Published, name: str = "analytics.duckdb") -> None:
    """Flip one bit in the middle of a file."""
    path = published.path / name
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def journal(instance: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (instance / "releases" / "journal.jsonl").read_text().splitlines()]


# --- restore


def test_restore_puts_back_exactly_what_was_live_before(store: ReleaseStore, instance: Path, publish: Publish) -> None:
    publish("older")
    good = publish("good")
    content = (instance / "analytics.duckdb").read_bytes()
    failed = publish("failed", qc=None)
    restored = store.restore(RunToken("failed", 1), reason="QC failed")
    assert (restored.restored, restored.live, restored.was) == (True, good.release_id, failed.release_id)
    assert (instance / "analytics.duckdb").read_bytes() == content
    assert (instance / "current").readlink() == Path("releases") / good.release_id
    # Its files stay for whoever looks into it.
    assert store.verify(failed.release_id) == []


@pytest.mark.parametrize("who", ["failed", RunToken("failed", 1), RunToken("failed", 5)])
def test_restore_twice_late_and_by_another_store_does_nothing_more(
    store: ReleaseStore, instance: Path, publish: Publish, who: RunToken | str
) -> None:
    publish("older")
    good = publish("good")
    publish("failed", qc=None)
    assert store.restore(who, reason="first").restored
    assert is_noop(store, store.restore(who, reason="second"), good)
    assert is_noop(store, ReleaseStore(instance).restore("failed", reason="by another store"), good)
    newer = publish("newer")
    assert is_noop(store, store.restore(who, reason="late"), newer)
    assert newer.previous == good.release_id


def test_restore_notices_a_change_that_hides_behind_the_old_size_and_time(
    store: ReleaseStore, publish: Publish
) -> None:
    """Red when restore trusts the modification time: anybody can set it back."""
    good, damaged = publish("good"), publish("damaged")
    publish("failed", qc=None)
    before = (damaged.path / "analytics.duckdb").stat()
    spoil(damaged)
    os.utime(damaged.path / "analytics.duckdb", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert store.restore("failed", reason="QC failed").live == good.release_id


def test_restore_accepts_an_instance_that_was_copied(store: ReleaseStore, instance: Path, publish: Publish) -> None:
    """Red when the noted inode and times decide instead of the hashes: a copy has others."""
    good = publish("good")
    publish("failed", qc=None)
    copied = instance.with_name("copied")
    shutil.copytree(instance, copied, symlinks=True)
    assert ReleaseStore(copied).restore("failed", reason="QC failed").live == good.release_id


def test_a_run_without_a_release_restores_nothing(store: ReleaseStore, publish: Publish) -> None:
    good = publish("good")
    assert is_noop(store, store.restore("never heard of", reason="test"), good)
    assert is_noop(store, store.restore(RunToken("never heard of", 1), reason="test"), good)


def test_restore_on_an_empty_instance_still_fences(store: ReleaseStore, make_candidate: MakeCandidate) -> None:
    assert is_noop(store, store.restore(RunToken("night", 1), reason="test"), None)
    with pytest.raises(ReleaseError, match="declared dead"):
        store.publish(make_candidate(), RunToken("night", 1))


def test_a_run_id_alone_fences_the_tries_that_came_to_publish(
    store: ReleaseStore, instance: Path, make_candidate: MakeCandidate
) -> None:
    candidate = make_candidate()
    # The scoring failed; somebody repairs and clears it: the publishing task's first try must be let in.
    assert is_noop(store, store.restore("night", reason="scoring failed"), None)
    published = store.publish(candidate, RunToken("night", 1))
    assert store.restore("night", reason="QC failed").was == published.release_id
    with pytest.raises(ReleaseError, match="declared dead"):
        store.publish(candidate, RunToken("night", 1))
    assert store.publish(candidate, RunToken("night", 2)).switched


def test_a_run_id_alone_fences_a_try_that_still_waits_for_the_lock(
    store: ReleaseStore, make_candidate: MakeCandidate
) -> None:
    room = store._room
    with room.at_the_door(RunToken("night", 3)):  # what publish does before it asks for the lock
        store.restore("night", reason="the run timed out")
    with pytest.raises(ReleaseError, match="declared dead"):
        store.publish(make_candidate(), RunToken("night", 3))
    assert list(room.releases.glob(".waiting-*")) == []


def test_the_first_release_ever_is_restored_to_none(store: ReleaseStore, instance: Path, publish: Publish) -> None:
    failed = publish("failed", qc=None)
    restored = store.restore("failed", reason="QC failed")
    assert (restored.restored, restored.live, restored.was) == (True, None, failed.release_id)
    assert store.live() is None
    assert not (instance / "current").is_symlink()
    assert is_noop(store, store.restore("failed", reason="again"), None)
    assert publish("next").previous is None


def test_an_earlier_try_that_passed_is_put_back_and_stays(store: ReleaseStore, publish: Publish) -> None:
    publish("older")
    first = publish("night", 1)
    publish("night", 2, qc=False)
    assert store.restore("night", reason="QC failed").live == first.release_id
    assert is_noop(store, store.restore("night", reason="again"), first)
    assert is_noop(store, store.restore(RunToken("night", 2), reason="again"), first)
    # Nor is it taken away when a third try fails before it publishes anything.
    assert is_noop(store, store.restore(RunToken("night", 3), reason="scoring failed"), first)


def test_a_late_callback_of_an_earlier_try_leaves_the_later_one(store: ReleaseStore, publish: Publish) -> None:
    publish("good")
    publish("night", 1, qc=None)
    later = publish("night", 2, qc=None)
    assert is_noop(store, store.restore(RunToken("night", 1), reason="late callback"), later)


def test_a_try_that_published_nothing_leaves_what_an_earlier_one_published_well(
    store: ReleaseStore, publish: Publish
) -> None:
    publish("older")
    good = publish("night", 1)
    assert is_noop(store, store.restore(RunToken("night", 2), reason="scoring again failed"), good)


def test_a_run_declared_dead_after_its_qc_passed_stays_good_enough_to_return_to(
    store: ReleaseStore, publish: Publish
) -> None:
    publish("older")
    good = publish("one")
    two = publish("two", qc=None)
    assert is_noop(store, store.restore("one", reason="its summary failed"), two)
    assert store.restore("two", reason="QC failed").live == good.release_id
    assert is_noop(store, store.restore("one", reason="late callback"), good)


def test_an_earlier_try_whose_qc_never_passed_is_not_put_back(store: ReleaseStore, publish: Publish) -> None:
    good = publish("good")
    publish("night", 1, qc=None)
    publish("night", 2, qc=None)
    assert store.restore("night", reason="QC failed").live == good.release_id


def test_a_release_given_up_while_another_was_live_is_not_put_back(store: ReleaseStore, publish: Publish) -> None:
    good = publish("good")
    publish("one", qc=None)
    two = publish("two", qc=None)
    assert is_noop(store, store.restore("one", reason="failed while two was live"), two)
    restored = store.restore("two", reason="failed too")
    assert restored.live == good.release_id
    assert "was given up" in restored.message


def test_a_damaged_ancestor_is_passed_over(store: ReleaseStore, publish: Publish) -> None:
    good, damaged = publish("good"), publish("damaged")
    failed = publish("failed", qc=None)
    spoil(damaged)
    restored = store.restore("failed", reason="QC failed")
    assert (restored.live, restored.was) == (good.release_id, failed.release_id)
    assert f"passed over {damaged.release_id}: analytics.duckdb is not what was published" in restored.message


def test_an_archived_backfill_restores_nothing(store: ReleaseStore, publish: Publish) -> None:
    newest = publish("night")
    publish("backfill", qc=None, day=DATE - timedelta(days=1))
    assert is_noop(store, store.restore("backfill", reason="QC failed"), newest)


# --- recover


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


# --- rollback


def test_rollback_goes_to_the_previous_release_by_default(
    store: ReleaseStore, instance: Path, publish: Publish
) -> None:
    older, good, bad = publish("older"), publish("good"), publish("bad")
    restored = store.rollback(None, reason="scores look wrong", who="ops")
    assert (restored.restored, restored.live, restored.was) == (True, good.release_id, bad.release_id)
    assert live_id(store) == good.release_id
    last = journal(instance)[-1]
    assert (last["event"], last["who"], last["reason"]) == ("rolled_back", "ops", "scores look wrong")
    assert store.rollback(None, reason="further", who="ops").live == older.release_id
    assert store.rollback(bad.release_id, reason="it was right after all", who="ops").live == bad.release_id
    assert is_noop(store, store.rollback(bad.release_id, reason="again", who="ops"), bad)


def test_an_operators_word_stands(store: ReleaseStore, publish: Publish) -> None:
    publish("good")
    given_up = publish("given up", qc=None)
    store.restore("given up", reason="QC could not run")
    store.rollback(given_up.release_id, reason="I looked at it myself", who="ops")
    assert is_noop(store, store.restore("given up", reason="late callback"), given_up)
    assert is_noop(store, store.recover(current_run="tonight"), given_up)
    publish("tonight", qc=None)
    assert store.restore("tonight", reason="QC failed").live == given_up.release_id
    assert is_noop(store, store.restore("given up", reason="very late callback"), given_up)


def test_rollback_does_not_follow_a_decision_about_another_live_release(store: ReleaseStore, publish: Publish) -> None:
    """The operator looked, and while he thought about it the night published."""
    older, seen = publish("older"), publish("seen")
    assert store.rollback_target(None) == older.release_id
    newer = publish("newer")
    with pytest.raises(ReleaseError, match=f"meanwhile {newer.release_id} is live, no longer {seen.release_id}"):
        store.rollback(older.release_id, reason="test", who="ops", instead_of=seen.release_id)
    assert live_id(store) == newer.release_id
    assert store.rollback(older.release_id, reason="test", who="ops", instead_of=newer.release_id).restored


def test_rollback_refuses_a_damaged_release_and_names_the_best(store: ReleaseStore, publish: Publish) -> None:
    older, good, damaged, live = publish("older"), publish("good"), publish("damaged"), publish("live")
    spoil(damaged)
    with pytest.raises(ReleaseError, match=rf"analytics.duckdb is not what.*best alternative is {good.release_id}"):
        store.rollback(damaged.release_id, reason="test", who="ops")
    assert live_id(store) == live.release_id
    assert store.rollback(None, reason="test", who="ops").live == good.release_id
    with pytest.raises(ReleaseError, match=rf"there is no release 2020.*best alternative is {older.release_id}"):
        store.rollback("2020", reason="test", who="ops")
    with pytest.raises(ReleaseError, match="is not a release id"):
        store.rollback("../../etc", reason="test", who="ops")


def test_rollback_refuses_a_release_that_failed_its_qc(store: ReleaseStore, publish: Publish) -> None:
    good, failed = publish("good"), publish("failed", qc=False)
    store.restore("failed", reason="QC failed")
    with pytest.raises(ReleaseError, match="failed its QC; and no other release is fit"):
        store.rollback(failed.release_id, reason="test", who="ops")
    assert live_id(store) == good.release_id


def test_rollback_with_nothing_to_go_back_to_says_so(store: ReleaseStore, publish: Publish) -> None:
    with pytest.raises(ReleaseError, match="no older release is fit"):
        store.rollback(None, reason="test", who="ops")
    only = publish("only")
    with pytest.raises(ReleaseError, match="no older release is fit"):
        store.rollback(None, reason="test", who="ops")
    assert live_id(store) == only.release_id


def test_a_release_after_a_rollback_follows_what_is_live(store: ReleaseStore, publish: Publish) -> None:
    older = publish("older")
    publish("bad")
    store.rollback(older.release_id, reason="test", who="ops")
    assert publish("next", qc=None).previous == older.release_id
    assert store.restore("next", reason="QC failed").live == older.release_id


# --- QC


def test_qc_of_an_unknown_release_is_refused(store: ReleaseStore, publish: Publish) -> None:
    published = publish("night", qc=None)
    assert store.qc_passed(published.release_id) is None
    store.record_qc(published.release_id, passed=False, log="ml_scores_qc_1.json")
    store.record_qc(published.release_id, passed=True, log="ml_scores_qc_2.json")
    assert store.qc_passed(published.release_id) is True
    assert store.verify(published.release_id) == []  # the release itself stays as it was
    with pytest.raises(ReleaseError, match="there is no release nowhere"):
        store.record_qc("nowhere", passed=True, log=None)
