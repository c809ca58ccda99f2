"""Publish: what a release holds, what is refused, and what a run that comes again, late or too old gets."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
from collections import namedtuple
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import ml.release.build as build_module
import ml.release.publish as publish_module
from ml.parallel import in_order
from ml.release import Candidate, ReleaseError, ReleaseStore, RunToken, tables
from tests.release.conftest import DATE, ROWS, SCORES_SCHEMA, MakeCandidate, Publish

NIGHT = RunToken("scheduled__2026-11-22T19:00:00+00:00", 1)


def sql(database: Path, statement: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(database, read_only=True) as connection:
        return connection.execute(statement).fetchall()


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


@pytest.mark.parametrize("name", ["analytics.duckdb", "data/claims_ml_scores.parquet"])
def test_a_real_file_of_the_old_system_is_left_alone(instance: Path, publish: Publish, name: str) -> None:
    old = instance / name
    old.parent.mkdir(parents=True)
    old.write_bytes(b"scores of the old system")
    with pytest.raises(ReleaseError, match=r"is in the way.*mv "):
        publish("night")
    assert old.read_bytes() == b"scores of the old system"
    assert not (instance / "current").exists()


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


def _backwards(rows: list[dict[str, Any]]) -> None:
    rows.reverse()


def _last_first(work: Callable[[Any], Any], parts: list[Any], _threads: int) -> Iterator[Any]:
    """In place of `in_order`: every part is inserted before the one in front of it, the worst that threads may do."""
    yield from reversed([work(part) for part in reversed(parts)])


PARTS: list[tuple[dict[str, Any], int, int]] = [
    ({"in_file_order": True}, 1, 5),  # RITL and one province, then RJTL and four
    ({"in_file_order": True}, 100, 3),
    ({"in_file_order": True}, ROWS, 1),
    ({"in_file_order": True, "change": _backwards}, 1, 1),
    ({"in_file_order": False}, 1, 1),
]


@pytest.mark.parametrize(("how", "part_rows", "parts"), PARTS)
def test_the_parts_of_a_release_are_whole_clusters_that_hold_every_claim(
    make_candidate: MakeCandidate, how: dict[str, Any], part_rows: int, parts: int
) -> None:
    candidate = make_candidate(**how)
    with duckdb.connect() as connection:
        for name, file in (("scores", candidate.scores), ("claims", candidate.claims)):
            connection.read_parquet(str(file), file_row_number=True).create_view(name)
        found = tables.run(connection, "15_parts.sql", part_rows=part_rows)
        assert len(found) == parts
        assert [first for first, _ in found] == [0, *(last + 1 for _, last in found[:-1])]
        assert found[-1][1] == ROWS - 1
        if parts > 1:
            for first, last in found:
                cut = f"file_row_number BETWEEN {first} AND {last}"
                clusters = "SELECT DISTINCT service_type, severity_group, province_code FROM claims WHERE"
                inside = connection.sql(f"{clusters} {cut}").fetchall()
                outside = connection.sql(f"{clusters} NOT ({cut})").fetchall()
                assert not {*inside} & {*outside}


@pytest.mark.parametrize(("how", "part_rows", "_parts"), PARTS)
@pytest.mark.parametrize(
    ("threads", "rows_at_a_time", "worker"),
    [(1, 600_000, in_order), (2, 600_000, in_order), (2, 0, in_order), (2, 600_000, _last_first)],
)
def test_what_the_api_reads_is_joined_and_clustered_without_personal_keys(
    instance: Path,
    make_candidate: MakeCandidate,
    monkeypatch: pytest.MonkeyPatch,
    how: dict[str, Any],
    part_rows: int,
    _parts: int,
    threads: int,
    rows_at_a_time: int,
    worker: Callable[..., Iterator[Any]],
) -> None:
    monkeypatch.setattr(tables, "PART_ROWS", part_rows)
    monkeypatch.setattr(tables, "ROWS_AT_A_TIME", rows_at_a_time)
    monkeypatch.setattr(tables, "in_order", worker)
    published = ReleaseStore(instance, threads=threads).publish(make_candidate(**how), RunToken("night", 1))
    database = published.path / "analytics.duckdb"
    columns = [name for (name,) in sql(database, "SELECT column_name FROM (DESCRIBE claims_high_risk)")]
    assert {"risk_score", "flags", "reasons", "amount_claimed", "facility_key", "peer_p90"} <= set(columns)
    assert not {"patient_key", "family_key"} & set(columns)
    assert (
        len(columns) == len(set(columns)) == 13 + 42 - 4 + 5
    )  # scores, claims less both keys and what both have, peers
    order = (
        "service_type, severity_group, province_code, risk_score DESC NULLS LAST, ml_score DESC NULLS LAST, "
        "amount_claimed DESC NULLS LAST, claim_id"
    )
    as_stored = sql(database, "SELECT claim_id FROM claims_high_risk")
    assert len(as_stored) == ROWS
    assert as_stored == sql(database, f"SELECT claim_id FROM claims_high_risk ORDER BY {order}")
    assert b"person-" not in database.read_bytes()


def test_the_database_says_which_release_it_is(publish: Publish) -> None:
    publish("one")
    published = publish("two")
    info = dict(sql(published.path / "analytics.duckdb", "SELECT key, value FROM release_info"))
    assert info["release_id"] == published.release_id
    assert (info["data_date"], info["model_version"]) == (DATE.isoformat(), "two-1")
    assert info["previous"] == published.previous


def test_a_backfill_is_archived(store: ReleaseStore, publish: Publish) -> None:
    newest = publish("night")
    backfill = publish("backfill", day=DATE - timedelta(days=1))
    live = store.live()
    assert live is not None
    assert live.id == newest.release_id
    assert not backfill.switched
    assert store.verify(backfill.release_id) == []
    again = publish("same-date")
    assert again.switched
    assert again.previous == newest.release_id


def test_a_run_that_comes_again_gets_what_it_published(store: ReleaseStore, make_candidate: MakeCandidate) -> None:
    candidate = make_candidate()
    first = store.publish(candidate, NIGHT)
    assert store.publish(candidate, NIGHT) == first
    retry = RunToken(NIGHT.run_id, 2)
    assert store.publish(candidate, retry) == first
    assert len(store.releases()) == 1
    # The release is now the retry's: the first try comes too late for it, and when the retry fails, it goes.
    with pytest.raises(ReleaseError, match="comes too late"):
        store.publish(candidate, NIGHT)
    assert store.restore(retry, reason="test").restored
    old = make_candidate(day=DATE - timedelta(days=1))
    store.publish(make_candidate(model="other"), RunToken("other", 1))
    archived = store.publish(old, RunToken("backfill", 1))
    assert not archived.switched
    assert store.publish(old, RunToken("backfill", 1)) == archived
    assert store.publish(make_candidate(model="changed"), RunToken("other", 1)).release_id != archived.release_id


def test_another_run_with_the_same_candidate_is_another_release(
    store: ReleaseStore, make_candidate: MakeCandidate
) -> None:
    candidate = make_candidate()
    moment = datetime(2026, 11, 22, 19, 5, tzinfo=UTC)
    ids = [store.publish(candidate, RunToken(run, 1), now=moment).release_id for run in ("Night!", "night?", "night")]
    assert len(set(ids)) == 3
    assert ids == sorted(ids)


def test_a_dead_run_may_not_publish(store: ReleaseStore, instance: Path, make_candidate: MakeCandidate) -> None:
    candidate = make_candidate()
    store.restore(RunToken("night", 2), reason="the task was killed")
    for try_number in (1, 2):
        with pytest.raises(ReleaseError, match=r"declared dead.*the task was killed.*new try"):
            store.publish(candidate, RunToken("night", try_number))
    assert store.releases() == []
    assert store.publish(candidate, RunToken("night", 3)).switched
    with pytest.raises(ReleaseError, match="declared dead"):
        store.publish(candidate, RunToken("night", 2))


def test_an_outlived_try_may_not_publish_over_a_later_one(store: ReleaseStore, make_candidate: MakeCandidate) -> None:
    store.publish(make_candidate(), RunToken("night", 2))
    with pytest.raises(ReleaseError, match="try 2 has published, try 1 comes too late"):
        store.publish(make_candidate(model="other"), RunToken("night", 1))


def _duplicate(rows: list[dict[str, Any]]) -> None:
    rows[1] = dict(rows[0])


def _stranger(rows: list[dict[str, Any]]) -> None:
    rows[0]["claim_id"] = "not a claim"


def _no_id(rows: list[dict[str, Any]]) -> None:
    rows[0]["claim_id"] = None


def _other_model(rows: list[dict[str, Any]]) -> None:
    rows[7]["model_version"] = "another"


def _no_date(rows: list[dict[str, Any]]) -> None:
    rows[7]["data_date"] = None


def _nothing(rows: list[dict[str, Any]]) -> None:
    rows.clear()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"change": _duplicate}, r"claim id '81870922V000000' has 2 rows"),
        ({"change": _no_id}, r"claim id None has 1 rows"),
        ({"change": _stranger}, rf"claims_high_risk: {ROWS - 1} rows"),
        ({"change": _other_model}, r"'81870922V000007' is of data date 2026-11-23, model another"),
        ({"change": _no_date}, r"'81870922V000007' is of data date None"),
        ({"change": _nothing}, r"all are empty"),
        ({"schema": SCORES_SCHEMA.remove(3)}, r"rule_score"),
        ({"schema": SCORES_SCHEMA.set(4, pa.field("risk_score", pa.float32()))}, r"'risk_score', 'FLOAT'"),
    ],
)
def test_a_candidate_that_contradicts_itself_is_refused(
    store: ReleaseStore, instance: Path, make_candidate: MakeCandidate, arguments: dict[str, Any], message: str
) -> None:
    live = store.publish(make_candidate(model="good"), RunToken("good", 1)).release_id
    with pytest.raises(ReleaseError, match=message):
        store.publish(make_candidate(**arguments), NIGHT)
    now_live = store.live()
    assert now_live is not None
    assert now_live.id == live
    assert _nothing_left_over(instance)


def _nothing_left_over(instance: Path) -> bool:
    kept = {".lock", ".reserve"}
    return [path.name for path in (instance / "releases").glob(".*") if path.name not in kept] == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE claims_ml_scores SET risk_score = risk_score + 1e-16 WHERE claim_id = '81870922V000000'",
        "UPDATE claims_ml_scores SET flags = NULL WHERE claim_id = '81870922V000001'",  # was an empty list
        "UPDATE claims_ml_scores SET ml_score = NULL WHERE isnan(ml_score)",
        "UPDATE claims_ml_scores SET reasons = NULL WHERE claim_id = '81870922V000001'",
        "DELETE FROM claims_ml_scores WHERE claim_id = '81870922V000000'",
        "UPDATE claims_high_risk SET risk_score = 0.5 WHERE claim_id = '81870922V000000'",
        "UPDATE claims_ml_scores_backup SET flags = [] WHERE flags IS NULL",
    ],
)
def test_a_table_that_differs_from_its_parquet_file_is_refused(
    store: ReleaseStore, publish: Publish, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    live = publish("good").release_id
    check = tables.origin_problems

    def spoil_then_check(connection: duckdb.DuckDBPyConnection, **origin: Any) -> list[str]:
        changed = connection.execute(statement).fetchall()
        assert changed[0][0] > 0
        return check(connection, **origin)

    monkeypatch.setattr(tables, "origin_problems", spoil_then_check)
    with pytest.raises(ReleaseError, match=r"the same scores should stand in \d places, but: .* rows, digest"):
        publish("night")
    now_live = store.live()
    assert now_live is not None
    assert now_live.id == live


def test_claims_rewritten_since_the_scoring_are_refused(store: ReleaseStore, make_candidate: MakeCandidate) -> None:
    candidate, other = make_candidate(), make_candidate(rows=ROWS + 1)
    shutil.copy(other.claims, candidate.claims)
    with pytest.raises(ReleaseError, match="the ETL has rewritten it since, score again"):
        store.publish(candidate, NIGHT)
    assert store.live() is None


def test_a_missing_candidate_file_is_named(store: ReleaseStore, make_candidate: MakeCandidate) -> None:
    candidate = make_candidate()
    candidate.claims.unlink()
    with pytest.raises(ReleaseError, match=r"claims_normalized.parquet does not exist: score again"):
        store.publish(candidate, NIGHT)


def test_moments_without_timezone_are_refused(store: ReleaseStore, make_candidate: MakeCandidate) -> None:
    with pytest.raises(ReleaseError, match="timezone"):
        store.publish(make_candidate(), NIGHT, now=datetime(2026, 11, 23))  # noqa: DTZ001


def test_a_full_disk_is_noticed_before_anything_is_built(
    store: ReleaseStore, instance: Path, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = publish("good").release_id
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(publish_module.shutil, "disk_usage", lambda _: usage(10**12, 10**12 - 1000, 1000))
    with pytest.raises(ReleaseError, match=r"not enough disk space .*\d MB needed .* 0 MB free"):
        publish("night")
    now_live = store.live()
    assert now_live is not None
    assert now_live.id == live
    assert len(store.releases()) == 1
    assert _nothing_left_over(instance)


def test_a_disk_that_fills_up_while_building_leaves_nothing(
    store: ReleaseStore, instance: Path, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = publish("good").release_id

    def full(*_: object) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(build_module, "write_new", full)
    with pytest.raises(ReleaseError, match=r"could not be written, readers see no change: .*No space left"):
        publish("night")
    assert [release.id for release in store.releases()] == [live]
    assert _nothing_left_over(instance)


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


def test_only_what_was_audited_is_published(store: ReleaseStore, make_candidate: MakeCandidate) -> None:
    candidate = make_candidate()
    other = make_candidate(model="other")
    candidate.scores.write_bytes(other.scores.read_bytes())
    with pytest.raises(ReleaseError, match="only what was audited may become live"):
        store.publish(candidate, RunToken("night", 1))
    assert store.live() is None


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
    assert _nothing_left_over(instance)


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
