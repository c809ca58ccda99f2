"""Restore: what it puts back, all the times it must do nothing, and which tries it fences."""

from __future__ import annotations

import os
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from ml.release import ReleaseError, ReleaseStore, RunToken
from tests.release.conftest import DATE, MakeCandidate, Publish
from tests.release.instances import is_noop, spoil


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
