"""From claims to the forest's matrix: scaled numbers and one-hot categories, row by row.

Each row's features depend on that row alone, so any split of the claims into batches gives the same matrix.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

NUMERIC = (
    "los",  # days
    "amount_claimed",  # rupiah
    "amount_paid",  # rupiah
    "amount_gap",  # rupiah, claimed - paid
    "comorbidity_count",  # different secondary diagnoses
    "peer_mean",  # rupiah
    "peer_p90",  # rupiah
    "cost_zscore",  # standard deviations from peer_mean
)
CATEGORICAL = ("severity_group", "facility_class", "province_name", "service_type")
SOURCE_COLUMNS = (*NUMERIC, *CATEGORICAL)


@dataclass(frozen=True)
class FeatureSpec:
    """How a model sees a claim: means and scales of the numbers, categories known at training."""

    means: dict[str, float]
    scales: dict[str, float]
    categories: dict[str, list[str]]

    @property
    def names(self) -> list[str]:
        """Names of the matrix's columns, in order."""
        one_hot = [f"{column}={value}" for column in CATEGORICAL for value in self.categories[column]]
        return [*NUMERIC, *one_hot]

    def matrix(self, claims: pa.Table | pa.RecordBatch) -> NDArray[np.float32]:
        """Return the features of some claims, shape (claims, len(names)), C order.

        A missing number counts as the training mean; a category not seen in training has no column, so all of its
        one-hot columns are 0.
        """
        result = np.zeros((claims.num_rows, len(self.names)), dtype=np.float32)
        for index, column in enumerate(NUMERIC):
            values = as_floats(claims.column(column))
            scaled = (values - self.means[column]) / self.scales[column]
            result[:, index] = np.nan_to_num(scaled, nan=0.0)
        start = len(NUMERIC)
        for column in CATEGORICAL:
            known = self.categories[column]
            position = pc.index_in(claims.column(column), value_set=pa.array(known, pa.string()))
            found = as_floats(position)
            rows = np.flatnonzero(~np.isnan(found))
            result[rows, start + found[rows].astype(np.intp)] = 1.0
            start += len(known)
        return result

    def as_json(self) -> dict[str, Any]:
        """Return the specification as JSON-ready values."""
        return {"means": self.means, "scales": self.scales, "categories": self.categories}


def as_floats(column: pa.Array | pa.ChunkedArray) -> NDArray[np.float64]:
    """Return a numeric Arrow column as float64, nulls as NaN."""
    return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)


def learn_features(claims: pa.Table) -> FeatureSpec:
    """Learn means, scales (population standard deviation, 1 where it is 0) and categories from claims."""
    means, scales = {}, {}
    for column in NUMERIC:
        values = as_floats(claims.column(column))
        known = values[np.isfinite(values)]
        means[column] = float(known.mean()) if len(known) else 0.0
        deviation = float(known.std()) if len(known) else 0.0
        scales[column] = deviation if deviation > 0 else 1.0
    categories = {
        column: sorted(value for value in pc.unique(claims.column(column)).to_pylist() if value is not None)
        for column in CATEGORICAL
    }
    return FeatureSpec(means, scales, categories)
