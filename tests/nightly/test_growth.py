"""Nights that pass leave no more behind than retention allows."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest

import ml.claims.etl
import ml.clock
import ml.qc.check
from ml import nightly
from ml.claims.etl import publish_claims, run_sql_steps, start_build
from ml.clock import data_date_of
from ml.release import ReleaseStore, RunToken
from ml.settings import Settings

NIGHTS = 16
REAL_NOW = ml.clock.now


def size_of(folder: Path) -> int:
    """Bytes of all files; links count nothing."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_symlink())


@pytest.mark.slow
def test_many_nights_stay_within_bounds(
    settings: Settings, store: ReleaseStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red when anything a night writes (release, claims, warehouse, work, journal aside) is never collected."""
    sizes = []
    for night in range(NIGHTS):
        later = timedelta(days=night)
        for module in (ml.clock, ml.claims.etl, nightly):
            monkeypatch.setattr(module, "now", lambda later=later: REAL_NOW() + later)
        token = RunToken(f"night{night}", 1)
        build, _ = start_build(settings, data_date_of(ml.clock.now()), token.run_id)
        run_sql_steps(settings, build)
        publish_claims(settings, build)
        nightly.recover(settings, token.run_id)
        scored = nightly.score(settings, token)
        nightly.audit(settings, scored.folder)
        published = nightly.publish(settings, token, scored.folder)
        assert published.switched
        store.record_qc(published.release_id, passed=True, log=None)
        nightly.summarise(settings, scored.folder)
        sizes.append(size_of(settings.instance_dir))
    assert len(store.releases()) == settings.keep_releases
    assert [store.verify(release.id) for release in store.releases()] == [[]] * settings.keep_releases
    full = settings.keep_releases + 2  # from here on every night takes one away for the one it adds
    assert max(sizes[full:]) < sizes[full - 1] * 1.02, sizes
    assert list(settings.work.glob("scoring/*")) == []


def test_old_quarantine_is_deleted(settings: Settings) -> None:
    old, young = settings.quarantine / "2026-01-01-old", settings.quarantine / "2026-11-23-young"
    for folder in (old, young):
        folder.mkdir(parents=True)
        (folder / "fkrtl.parquet").write_bytes(b"rows")
    month_ago = (REAL_NOW() - timedelta(days=31)).timestamp()
    os.utime(old, (month_ago, month_ago))
    build, _ = start_build(settings, data_date_of(REAL_NOW()), "night")
    run_sql_steps(settings, build)
    publish_claims(settings, build)
    assert not old.exists()
    assert young.exists()
