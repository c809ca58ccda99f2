"""A small claims_normalized with everything scoring reads, and a model trained on it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml.claims.etl import ClaimsFile
from ml.files import sha256_of
from ml.model.artefact import RiskModel
from ml.model.training import train
from ml.settings import Settings
from tests.claims_columns import ORDINARY

DATA_DATE = date(2022, 12, 31)
DULL: dict[str, Any] = {
    "los": 3, "service_type": "RITL", "severity_group": "sedang", "facility_class": "RS Kelas C",
    "province_name": "Jawa Tengah", "primary_diagnosis": "A010", "primary_diagnosis_group": "A01",
    "inacbg_code": "A-4-14-II", "comorbidity_count": 1, "amount_claimed": 2_000_000, "amount_paid": 2_000_000,
    "amount_gap": 0, "paid_ratio": 1.0, "peer_level": 1, "peer_n": 40, "peer_mean": 2_000_000.0,
    "peer_p90": 2_500_000.0, "peer_std": 100_000.0, "cost_zscore": 0.0, "duplicate_pattern": False,
    "duplicate_gap_days": None, "facility_key": "8187", "facility_key_source": "claim_id", "severity_level": 2,
    "ward_class": 3, "tariff_region": 1, "inacbg_tariff": 2_000_000, "admission_diagnosis": "A01", "procedure_count": 1,
    "topup_amount": 0,
} | {name: value for name, (_, value) in ORDINARY.items()}  # fmt: skip
INT32 = {
    "los", "peer_level", "peer_n", "comorbidity_count", "duplicate_gap_days", "severity_level", "ward_class",
    "tariff_region", "procedure_count",
}  # fmt: skip
KINDS = {bool: pa.bool_(), float: pa.float64(), str: pa.string(), int: pa.int64()}


def type_of(name: str, value: Any) -> pa.DataType:
    """The type that the ETL gives a column."""
    if name in ORDINARY:
        return ORDINARY[name][0]
    return pa.int32() if name in INT32 else KINDS[type(value)]


SCHEMA = pa.schema([("claim_id", pa.string()), *((name, type_of(name, value)) for name, value in DULL.items())])


def claims_table(special: list[dict[str, Any]], dull: int = 200) -> pa.Table:
    """Dull claims that differ a little, and after them the special ones."""
    rng = np.random.default_rng(1)
    rows = []
    for number in range(dull):
        amount = int(rng.normal(2_000_000, 100_000))
        varied = {"los": 1 + int(rng.geometric(0.3)), "amount_claimed": amount, "amount_paid": amount}
        rows.append(DULL | varied | {"claim_id": f"dull{number:05d}"})
    rows += [DULL | {"claim_id": f"special{number:03d}"} | changes for number, changes in enumerate(special)]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(_env_file=None, CLAIMS_INSTANCE_DIR=str(tmp_path / "instance"))


@pytest.fixture
def write_claims(tmp_path: Path) -> Callable[[pa.Table], ClaimsFile]:
    def write(table: pa.Table, name: str = "claims") -> ClaimsFile:
        path = tmp_path / f"{name}.parquet"
        pq.write_table(table, path, row_group_size=64)
        return ClaimsFile(path, DATA_DATE, table.num_rows, sha256_of(path), "raw/fkrtl.csv")

    return write


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> RiskModel:
    path = tmp_path_factory.mktemp("training") / "claims.parquet"
    pq.write_table(claims_table([]), path)
    return train(path, DATA_DATE)
