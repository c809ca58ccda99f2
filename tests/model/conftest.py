"""Models of generated claims, good and spoilt, and an instance in which a gate on small sets judges them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml.claims.etl import ClaimsFile
from ml.evaluation.labelled import make_labelled_set, own_settings
from ml.model.artefact import RiskModel, save_model
from ml.model.training import train
from ml.promotion import gate
from ml.sample import GeneratorConfig
from ml.settings import Settings
from tests.nightly.conftest import settings_of

SMALL = 8_000
Train = Callable[[pa.Table], RiskModel]


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> ClaimsFile:
    """Claims that models are trained on; no set of the gate has their seed."""
    folder = tmp_path_factory.mktemp("generated")
    return make_labelled_set(GeneratorConfig(claims=SMALL, seed=7), "training", folder).claims


@pytest.fixture(scope="session")
def claims(generated: ClaimsFile) -> pa.Table:
    return pq.read_table(generated.path)


@pytest.fixture(scope="session")
def good(generated: ClaimsFile) -> RiskModel:
    return train(generated.path, generated.data_date)


@pytest.fixture(scope="session")
def other_seed(generated: ClaimsFile) -> RiskModel:
    return train(generated.path, generated.data_date, seed=1)


@pytest.fixture
def trained_on(tmp_path: Path) -> Train:
    def make(table: pa.Table) -> RiskModel:
        pq.write_table(table, tmp_path / "training.parquet")
        return train(tmp_path / "training.parquet", date(2022, 12, 31))

    return make


@pytest.fixture(scope="session")
def _gate_sets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The gate's sets, small ones, made once."""
    root = tmp_path_factory.mktemp("gate")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gate, "SET_CLAIMS", SMALL)
        patch.setattr(gate, "SETS", gate.FIRST_SETS)
        patch.setattr(gate, "FIRST_SETS", gate.FIRST_SETS[:1])
        settings = own_settings(root)
        assert len(list(gate._sets(settings, current=object()))) == 2  # type: ignore[arg-type]
        yield settings.work / "gate"


@pytest.fixture
def instance(_gate_sets: Path, generated: ClaimsFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """An instance with claims and the gate's sets, without any model; commands find it in the environment."""
    settings = settings_of(tmp_path / "instance")
    shutil.copytree(_gate_sets, settings.work / "gate")
    published = settings.data / "claims_normalized" / f"{generated.data_date}.parquet"
    published.parent.mkdir(parents=True)
    shutil.copy(generated.path, published)
    monkeypatch.setenv("CLAIMS_INSTANCE_DIR", str(settings.instance_dir))
    monkeypatch.setenv("CLAIMS_LOCK_TIMEOUT_SECONDS", "0.2")
    return settings


@pytest.fixture
def save(instance: Settings) -> Callable[[RiskModel], str]:
    return lambda model: save_model(model, instance.models)


def with_evidence(claims: pa.Table, change: Callable[[int, np.ndarray], np.ndarray]) -> pa.Table:
    """The claims with every evidence column replaced by what `change` makes of it."""
    names = [name for name in claims.column_names if name.startswith("evidence_")]
    for index, name in enumerate(names):
        values = np.nan_to_num(np.asarray(claims[name].cast(pa.float64()).to_numpy(), dtype=np.float64))
        claims = claims.set_column(claims.column_names.index(name), name, pa.array(change(index, values)))
    return claims
