"""Training: RULESET_v1's Isolation Forest, the anomaly channel's, and the scales of all channels."""

from __future__ import annotations

import platform
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml.files import sha256_of
from ml.model.anomaly import anomaly_matrix
from ml.model.artefact import ModelError, RiskModel
from ml.model.calibration import Calibration, learn_calibration
from ml.model.features import NUMERIC, as_floats, learn_features
from ml.model.forest import Forest, from_sklearn
from ml.sql import SQL_ROOT, sql_files, sql_text

TREES = 200
CONTAMINATION = 0.03
SEED = 20220101
SAMPLE_ROWS = 200_000
ANOMALY_TREES = 100
CALIBRATION_ROWS = 1_000_000
"""Bounds memory; the rarest thousandth of so many claims is still a thousand."""
ANOMALY = "anomaly"
EVIDENCE = "evidence_"
LEAST_CLAIMS = 2
"""Below it c(max_samples), which path lengths are divided by, is 0 and every score would be NaN."""


def train(claims: Path, data_date: date, seed: int = SEED) -> RiskModel:
    """Train on a fixed sample of claims. The same claims and seed give the same model, bit for bit.

    RULESET_v1's forest: 200 trees of 256 claims each and contamination 0.03 are the current system's; the sample only
    bounds memory, since each tree sees 256 claims anyway.

    Args:
        claims: a `claims_normalized` Parquet file.
        data_date: its data date, kept with the model.
        seed: of the forests; another one shows how much of a score is chance.

    Raises:
        ModelError: fewer than `LEAST_CLAIMS` claims.
    """
    sample = _sample(claims, "model/training_sample.sql", SAMPLE_ROWS)
    if sample.num_rows < LEAST_CLAIMS:
        raise ModelError(
            f"{claims}: {sample.num_rows} claims cannot train a model, at least {LEAST_CLAIMS} claims are needed. "
            "Run claims_normalized on more claims first."
        )
    import sklearn  # not at the top: see ml.model.forest
    from sklearn.ensemble import IsolationForest

    features = learn_features(sample)
    forest = IsolationForest(n_estimators=TREES, contamination=CONTAMINATION, random_state=seed)
    forest.fit(features.matrix(sample))
    evidence = _sample(claims, "model/calibration_sample.sql", CALIBRATION_ROWS)
    anomaly = IsolationForest(n_estimators=ANOMALY_TREES, random_state=seed)
    anomaly.fit(anomaly_matrix(evidence.slice(0, SAMPLE_ROWS)))
    anomaly_forest = from_sklearn(anomaly)
    training = {
        "data_date": str(data_date),
        "rows": sample.num_rows,
        "calibration_rows": evidence.num_rows,
        "seed": seed,
        "trees": TREES,
        "contamination": CONTAMINATION,
        "anomaly_trees": ANOMALY_TREES,
        "definitions": feature_definitions(),
        "versions": {
            "python": ".".join(platform.python_version_tuple()[:2]),
            "scikit-learn": sklearn.__version__,
            "numpy": np.__version__,
        },
    }
    return RiskModel(
        features=features,
        forest=from_sklearn(forest),
        medians=_medians(sample),
        shares=_shares(sample),
        anomaly=anomaly_forest,
        calibration=_calibration(evidence, anomaly_forest),
        training=training,
    )


def feature_definitions() -> dict[str, str]:
    """Return the SHA-256 of every statement that makes a claim's features, by name.

    A model calibrated on other definitions than those that scored claims come from is not wrong, but its scales are.
    """
    return {Path(name).stem: sha256_of(SQL_ROOT / name) for name in sql_files("claims_normalized")}


def changed_definitions(model: RiskModel) -> list[str]:
    """Return the names of the statements that differ from those the model was trained under, or exist on one side."""
    trained, present = model.training.get("definitions", {}), feature_definitions()
    return sorted(name for name in trained.keys() | present.keys() if trained.get(name) != present.get(name))


def _sample(claims: Path, statement: str, rows: int) -> pa.Table:
    with duckdb.connect() as connection:
        parameters = {"claims": str(claims), "sample_rows": rows}
        return connection.sql(sql_text(statement), params=parameters).to_arrow_table()


def _calibration(claims: pa.Table, anomaly: Forest) -> Calibration:
    evidence = {
        name.removeprefix(EVIDENCE): as_floats(claims.column(name))
        for name in claims.column_names
        if name.startswith(EVIDENCE)
    }
    return learn_calibration(evidence | {ANOMALY: anomaly.anomaly_score(anomaly_matrix(claims))})


def _medians(sample: pa.Table) -> dict[str, dict[str, float]]:
    """Median of every number by service type."""
    result = {}
    for service in sorted(set(sample.column("service_type").to_pylist())):
        rows = sample.filter(pc.equal(sample.column("service_type"), service))
        values = {column: as_floats(rows.column(column)) for column in NUMERIC}
        result[service] = {
            column: float(np.nanmedian(array)) if np.isfinite(array).any() else 0.0 for column, array in values.items()
        }
    return result


def _shares(sample: pa.Table) -> dict[str, dict[str, float]]:
    """How common each facility class and province is."""
    result = {}
    for column in ("facility_class", "province_name"):
        counts = pc.value_counts(sample.column(column).drop_null()).to_pylist()
        result[column] = {
            entry["values"]: entry["counts"] / sample.num_rows
            for entry in sorted(counts, key=lambda entry: str(entry["values"]))
        }
    return result
