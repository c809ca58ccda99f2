"""Publish: what a release holds and where it leads, what is its backup, and which old ones are collected."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from ml.release import Candidate, ReleaseStore, RunToken
from tests.release.conftest import DATE, NIGHT, ROWS, MakeCandidate, Publish
from tests.release.instances import nothing_left_over, sql


def test_a_candidate_becomes_the_live_release(store: ReleaseStore, make_candidate: MakeCandidate) -> None:
    candidate = make_candidate()
    moment = datetime(2026, 11, 22, 19, 5, 12, tzinfo=UTC)
    published = store.publish(candidate, NIGHT, now=moment)

    assert published.release_id == "20261123-20261122T190512Z-scheduled-2026-11-22t19-00-00-00-00-t01"
    assert (published.switched, published.previous, published.rows, published.data_date) == (True, None, ROWS, DATE)
    live = store.live()
    assert live is not None
    assert (live.id, live.path) == (published.release_id, published.path)
    assert live == store.get(published.release_id) == store.releases()[0]
    assert store.verify(live.id) == []
    assert sorted(path.name for path in live.path.iterdir()) == [
        "analytics.duckdb",
        "claims_ml_scores.parquet",
        "manifest.json",
    ]
    manifest = live.manifest
    assert (manifest.run_id, manifest.try_number, manifest.created_at) == (NIGHT.run_id, 1, moment)
    assert manifest.input_sha256 == candidate.input_sha256
    assert manifest.model_sha256 == candidate.model_sha256
    for name, entry in manifest.files.items():
        content = (live.path / name).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (entry.size, entry.sha256)
    assert live.scores.read_bytes() == candidate.scores.read_bytes()


def test_nothing_of_a_complete_release_can_be_written(publish: Publish) -> None:
    for path in publish("night").path.iterdir():
        assert path.stat().st_mode & 0o222 == 0


def test_the_old_systems_paths_lead_to_the_live_release(store: ReleaseStore, instance: Path, publish: Publish) -> None:
    for run in ("one", "two"):
        published = publish(run)
        assert (instance / "analytics.duckdb").resolve() == (published.path / "analytics.duckdb").resolve()
        link = instance / "data" / "claims_ml_scores.parquet"
        assert link.resolve() == (published.path / "claims_ml_scores.parquet").resolve()


def test_values_come_through_unchanged(store: ReleaseStore, make_candidate: MakeCandidate) -> None:
    candidate = make_candidate()
    released = store.publish(candidate, NIGHT).path
    before = pq.read_table(candidate.scores).to_pylist()
    with duckdb.connect(released / "analytics.duckdb", read_only=True) as connection:
        after = connection.table("claims_ml_scores").to_arrow_table().to_pylist()
    assert repr(after) == repr(before)  # repr: NaN is not equal to itself
    assert {repr(row["flags"]) for row in after} == {"None", "[None]", "[]", "['short_stay_high_cost']"}
    assert {"None", "nan"} <= {repr(row["ml_score"]) for row in after}


def test_the_backup_is_what_was_live_before(publish: Publish) -> None:
    first, second = publish("one"), publish("two", rows=ROWS - 1)
    third = publish("three")
    count_and_model = "SELECT count(*), max(model_version) FROM claims_ml_scores_backup"
    assert sql(first.path / "analytics.duckdb", count_and_model) == [(0, None)]
    assert sql(second.path / "analytics.duckdb", count_and_model) == [(ROWS, "one-1")]
    assert sql(third.path / "analytics.duckdb", count_and_model) == [(ROWS - 1, "two-1")]
    describe = "SELECT column_name, column_type FROM (DESCRIBE {})"
    empty = sql(first.path / "analytics.duckdb", describe.format("claims_ml_scores_backup"))
    assert empty == sql(first.path / "analytics.duckdb", describe.format("claims_ml_scores"))


def test_the_database_says_which_release_it_is(publish: Publish) -> None:
    publish("one")
    published = publish("two")
    info = dict(sql(published.path / "analytics.duckdb", "SELECT key, value FROM release_info"))
    assert info["release_id"] == published.release_id
    assert (info["data_date"], info["model_version"]) == (DATE.isoformat(), "two-1")
    assert info["previous"] == published.previous


def test_a_damaged_live_release_is_no_backup(
    store: ReleaseStore, publish: Publish, caplog: pytest.LogCaptureFixture
) -> None:
    """A new good release heals what readers see; its backup, and where a restore goes, is the good one before."""
    good, damaged = publish("good"), publish("damaged")
    scores = damaged.path / "claims_ml_scores.parquet"
    scores.chmod(0o644)
    scores.write_bytes(scores.read_bytes()[:-1])
    night = publish("night", qc=None)
    assert "the live release is damaged, so it cannot be kept as the backup" in caplog.text
    assert night.previous == good.release_id
    assert store.verify(night.release_id) == []
    assert store.restore("night", reason="QC failed").live == good.release_id


def test_without_any_good_release_the_backup_is_empty(store: ReleaseStore, publish: Publish) -> None:
    """Also old still never overwrites new, though the new one's manifest can no longer tell its data date."""
    damaged = publish("damaged")
    (damaged.path / "manifest.json").unlink()
    assert not publish("late", day=DATE - timedelta(days=1)).switched
    night = publish("night")
    assert (night.switched, night.previous) == (True, None)
    assert store.verify(night.release_id) == []


def test_old_releases_are_collected(store: ReleaseStore, instance: Path, make_candidate: MakeCandidate) -> None:
    store = ReleaseStore(instance, keep=2, threads=1)
    start = datetime(2026, 1, 1, tzinfo=UTC)

    def publish_on(day: int, run: str, data_day: date = DATE) -> str:
        candidate = make_candidate(model=run, day=data_day)
        return store.publish(candidate, RunToken(run, 1), now=start + timedelta(days=day)).release_id

    live = [publish_on(day, f"night{day}") for day in range(3)]
    # Archived ones are newer than the ancestors, and no ancestors themselves.
    archived = [publish_on(3 + day, f"backfill{day}", DATE - timedelta(days=30)) for day in range(4)]
    assert {release.id for release in store.releases()} == {*live, *archived[-2:]}
    young = [publish_on(10, f"burst{number}") for number in range(6)]  # all on one day
    left = {release.id for release in store.releases()}
    assert left == set(young)  # younger than a day; the newest two and three ancestors are among them
    last = [publish_on(20, "later")]
    assert {release.id for release in store.releases()} == {*young[-3:], *last}
    events = [json.loads(line) for line in (instance / "releases" / "journal.jsonl").read_text().splitlines()]
    collected = {event["release_id"] for event in events if event["event"] == "collected"}
    assert collected == {*live, *archived, *young[:3]}
    assert nothing_left_over(instance)


def test_a_folder_that_is_no_release_is_never_collected(instance: Path, publish: Publish) -> None:
    stranger = instance / "releases" / "20200101-somebodys-notes"
    stranger.mkdir(parents=True)
    (stranger / "note.txt").write_text("keep me")
    publish("night")
    assert (stranger / "note.txt").exists()


def test_a_candidate_is_never_touched(store: ReleaseStore, make_candidate: MakeCandidate) -> None:
    candidate: Candidate = make_candidate()
    before = candidate.scores.stat(), candidate.claims.stat()
    store.publish(candidate, NIGHT)
    after = candidate.scores.stat(), candidate.claims.stat()
    assert [(s.st_mode, s.st_mtime_ns, s.st_nlink) for s in after] == [
        (s.st_mode, s.st_mtime_ns, s.st_nlink) for s in before
    ]
