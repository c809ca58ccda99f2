"""Verify: a good release has no problems, and every planted fault is one."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from ml.release import ReleaseStore, tables
from tests.release.conftest import ROWS, SCORES_SCHEMA, Publish
from tests.release.instances import spoil


@pytest.mark.parametrize("name", ["analytics.duckdb", "claims_ml_scores.parquet"])
def test_a_flipped_bit_is_found(store: ReleaseStore, publish: Publish, name: str) -> None:
    publish("before")
    published = publish("night")
    assert store.verify(published.release_id) == []
    spoil(published, name)
    assert store.verify(published.release_id) == [
        f"{published.release_id}: {name} is not what was published (its SHA-256 differs)"
    ]


def test_a_changed_manifest_is_found(store: ReleaseStore, publish: Publish) -> None:
    published = publish("night")
    manifest = published.path / "manifest.json"
    manifest.chmod(0o644)
    manifest.write_text(manifest.read_text().replace("RULESET_v1", "RULESET_v2"))
    assert "manifest.json is not the one that was published" in store.verify(published.release_id)[0]
    manifest.write_text("{}")
    assert "damaged" in store.verify(published.release_id)[0]


@pytest.mark.parametrize("name", ["analytics.duckdb", "claims_ml_scores.parquet", "manifest.json"])
def test_a_missing_file_is_found(store: ReleaseStore, publish: Publish, name: str) -> None:
    published = publish("night")
    (published.path / name).unlink()
    assert name in store.verify(published.release_id)[0]


def test_what_does_not_belong_is_found(store: ReleaseStore, publish: Publish) -> None:
    published = publish("night")
    (published.path / "notes.txt").touch()
    assert store.verify(published.release_id) == [f"{published.release_id}: notes.txt does not belong here"]
    (published.path / "analytics.duckdb.wal").touch()
    assert "opened the file for writing" in store.verify(published.release_id)[0]


def test_a_release_of_before_a_channel_was_added_is_whole_and_can_come_back(
    store: ReleaseStore, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    struct = SCORES_SCHEMA.field("channels")
    fewer = struct.with_type(pa.struct([field for field in struct.type if field.name != "overlap"]))
    with monkeypatch.context() as earlier:
        told = tables.SCORES_SCHEMA["channels"].replace("overlap DOUBLE, ", "")
        earlier.setitem(tables.SCORES_SCHEMA, "channels", told)
        old = publish("before", schema=SCORES_SCHEMA.set(SCORES_SCHEMA.get_field_index("channels"), fewer))
    publish("after")
    assert store.verify(old.release_id) == []
    assert store.rollback(old.release_id, reason="test", who="ops").restored
    monkeypatch.setitem(tables.SCORES_SCHEMA, "channels", "STRUCT(upcoding DOUBLE)")
    assert "other columns than it should have" in store.verify(old.release_id)[0]


def test_a_release_of_before_the_table_of_providers_is_whole(
    store: ReleaseStore, instance: Path, publish: Publish
) -> None:
    published = publish("night")
    change_and_forge(instance, published.path, "DROP TABLE provider_risk")
    assert store.verify(published.release_id) == []


def test_no_release_is_a_problem_too(store: ReleaseStore) -> None:
    assert "there is no release nowhere" in store.verify("nowhere")[0]
    assert "is not a release id" in store.verify("../releases")[0]


def test_a_release_open_elsewhere_in_this_process_can_be_verified(store: ReleaseStore, publish: Publish) -> None:
    published = publish("night")
    with duckdb.connect(published.path / "analytics.duckdb", read_only=True):
        assert store.verify(published.release_id) == []


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("UPDATE claims_ml_scores SET risk_score = 0 WHERE claim_id LIKE '%7'", "should stand in 3 places"),
        ("UPDATE claims_high_risk SET flags = NULL", "should stand in 3 places"),
        ("UPDATE claims_ml_scores_backup SET reasons = ''", "should stand in 2 places"),
        ("DELETE FROM claims_ml_scores_backup WHERE claim_id LIKE '%7'", f"the manifest says {ROWS}"),
        ("UPDATE claims_ml_scores SET model_version = 'x'", "model x"),
        ("ALTER TABLE claims_ml_scores DROP COLUMN reasons", "other columns"),
        ("ALTER TABLE claims_high_risk ADD COLUMN patient_key VARCHAR", "serves personal keys: patient_key"),
        ("ALTER TABLE claims_ml_scores ADD COLUMN PSTV01 VARCHAR", "claims_ml_scores serves personal keys: pstv01"),
        ("UPDATE release_info SET value = 'x' WHERE key = 'release_id'", "release_info says it is x"),
        ("DROP TABLE claims_high_risk", "cannot be read"),
    ],
)
def test_tables_are_compared_even_when_the_hashes_were_forged(
    store: ReleaseStore, instance: Path, publish: Publish, statement: str, problem: str
) -> None:
    publish("before")
    published = publish("night")
    change_and_forge(instance, published.path, statement)
    assert any(problem in found for found in store.verify(published.release_id)), store.verify(published.release_id)


def change_and_forge(instance: Path, release: Path, statement: str) -> None:
    """Change a release's tables, and hide that in manifest and journal."""
    database = release / "analytics.duckdb"
    database.chmod(0o644)
    with duckdb.connect(database) as connection:
        connection.execute(statement)
    forge(instance, release)


def forge(instance: Path, release: Path) -> None:
    """Make manifest and journal agree with the changed file, as no accident would."""
    content = (release / "analytics.duckdb").read_bytes()
    manifest: dict[str, Any] = json.loads((release / "manifest.json").read_text())
    manifest["files"]["analytics.duckdb"] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    before = hashlib.sha256((release / "manifest.json").read_bytes()).hexdigest()
    (release / "manifest.json").chmod(0o644)
    (release / "manifest.json").write_text(json.dumps(manifest))
    after = hashlib.sha256((release / "manifest.json").read_bytes()).hexdigest()
    journal = instance / "releases" / "journal.jsonl"
    journal.write_text(journal.read_text().replace(before, after))
