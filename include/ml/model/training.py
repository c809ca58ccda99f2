"""Training: the Isolation Forest that RULESET_v1's risk score is defined with."""

from __future__ import annotations

import platform
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sklearn
from sklearn.ensemble import IsolationForest

from ml.model.artefact import ModelError, RiskModel
from ml.model.features import NUMERIC, as_floats, learn_features
from ml.model.forest import from_sklearn
from ml.sql import sql_text

TREES = 200
CONTAMINATION = 0.03
SEED = 20220101
SAMPLE_ROWS = 200_000
LEAST_CLAIMS = 2
"""Below it c(max_samples), which path lengths are divided by, is 0 and every score would be NaN."""


def train(claims: Path, data_date: date) -> RiskModel:
    """Train a forest on a fixed sample of claims.

    200 trees of 256 claims each and contamination 0.03 are the current system's; the sample only bounds memory, since
    each tree sees 256 claims anyway. The same claims give the same model, bit for bit.

    Args:
        claims: a `claims_normalized` Parquet file.
        data_date: its data date, kept with the model.

    Raises:
        ModelError: fewer than `LEAST_CLAIMS` claims.
    """
    with duckdb.connect() as connection:
        parameters = {"claims": str(claims), "sample_rows": SAMPLE_ROWS}
        sample = connection.sql(sql_text("model/training_sample.sql"), params=parameters).to_arrow_table()
    if sample.num_rows < LEAST_CLAIMS:
        raise ModelError(
            f"{claims}: {sample.num_rows} claims cannot train a model, at least {LEAST_CLAIMS} claims are needed. "
            "Run claims_normalized on more claims first."
        )
    features = learn_features(sample)
    forest = IsolationForest(n_estimators=TREES, contamination=CONTAMINATION, random_state=SEED)
    forest.fit(features.matrix(sample))
    training = {
        "data_date": str(data_date),
        "rows": sample.num_rows,
        "seed": SEED,
        "trees": TREES,
        "contamination": CONTAMINATION,
        "versions": {
            "python": ".".join(platform.python_version_tuple()[:2]),
            "scikit-learn": sklearn.__version__,
            "numpy": np.__version__,
        },
    }
    return RiskModel(features, from_sklearn(forest), _medians(sample), _shares(sample), training)


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
