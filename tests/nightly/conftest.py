"""A small instance with claims and a model, fresh for every test, the steps of a night on it, and its API."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from ml import nightly
from ml.claims.etl import publish_claims, run_sql_steps, start_build
from ml.clock import data_date_of, now
from ml.nightly import Scored
from ml.promotion import gate, life
from ml.release import Published, ReleaseStore, RunToken
from ml.sample.config import GeneratorConfig
from ml.sample.files import write
from ml.sample.generate import generate
from ml.settings import Settings
from tests.nightly.claims_api import Served, client_of

ROWS = 1_500


def settings_of(instance: Path) -> Settings:
    return Settings(
        _env_file=None,
        CLAIMS_INSTANCE_DIR=str(instance),
        CLAIMS_PATIENT_KEY_SECRET="a-secret-for-tests-only",
        CLAIMS_LOCK_TIMEOUT_SECONDS="0.2",
    )


@pytest.fixture(scope="session", autouse=True)
def _small_gate() -> Iterator[None]:
    """The first model's gate on sets that are made in a second; tests/model tries the gate itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gate, "SET_CLAIMS", 3_000)
        yield


@pytest.fixture(scope="session")
def _prepared(_small_gate: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("nightly")
    settings = settings_of(root / "instance")
    write(generate(GeneratorConfig(claims=ROWS, seed=11)), settings.raw, "csv", root / "labels.parquet")
    build, _report = start_build(settings, data_date_of(now()), "prepare")
    run_sql_steps(settings, build)
    publish_claims(settings, build)
    life.train_default(settings)
    return settings.instance_dir


@pytest.fixture
def settings(_prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of a copy of the prepared instance; commands find them in the environment."""
    shutil.copytree(_prepared, tmp_path / "instance", symlinks=True)
    settings = settings_of(tmp_path / "instance")
    monkeypatch.setenv("CLAIMS_INSTANCE_DIR", str(settings.instance_dir))
    monkeypatch.setenv("CLAIMS_PATIENT_KEY_SECRET", "a-secret-for-tests-only")
    monkeypatch.setenv("CLAIMS_LOCK_TIMEOUT_SECONDS", "0.2")
    return settings


@dataclass(frozen=True)
class Night:
    """What a run has made."""

    run_id: str
    scored: Scored
    published: Published


Publish = Callable[..., Night]


@pytest.fixture
def publish(settings: Settings) -> Publish:
    """Score and publish; `qc` (None: not yet) is recorded as the verdict."""

    def make(run_id: str, *, qc: bool | None = None, ruleset: str | None = None) -> Night:
        scored = nightly.score(settings, RunToken(run_id, 1), ruleset_version=ruleset)
        nightly.audit(settings, scored.folder)
        published = nightly.publish(settings, RunToken(run_id, 1), scored.folder)
        if qc is not None:
            nightly.store_of(settings).record_qc(published.release_id, passed=qc, log=None)
        return Night(run_id, scored, published)

    return make


@pytest.fixture
def store(settings: Settings) -> ReleaseStore:
    return nightly.store_of(settings)


def live_id(store: ReleaseStore) -> str | None:
    live = store.live()
    return None if live is None else live.id


@pytest.fixture
def client(settings: Settings) -> TestClient:
    """The API of an instance without a release."""
    return client_of(settings)


@pytest.fixture(scope="session")
def served(_prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Served:
    instance = tmp_path_factory.mktemp("served") / "instance"
    shutil.copytree(_prepared, instance, symlinks=True)
    settings, token = settings_of(instance), RunToken("night", 1)
    scored = nightly.score(settings, token)
    nightly.audit(settings, scored.folder)
    store = nightly.store_of(settings)
    live = nightly.publish(settings, token, scored.folder).release_id
    store.record_qc(live, passed=True, log=None)
    return Served(client_of(settings), store.get(live))
