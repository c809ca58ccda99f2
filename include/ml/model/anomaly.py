"""The general anomaly channel's view of a claim: few figures, each against the claim's own peers.

An Isolation Forest on these finds combinations that no typology names. Amounts, provinces and classes themselves are
not among them, or the forest would sort by cost and by place (docs/features.md).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ml.model.features import as_floats

LEAST_SHARE = 1e-4
"""A share below it counts as it: one in ten thousand is as odd as one in a million."""
LN_RATIO_RANGE = (-1.0, 2.0)
"""Prices below 0.37 or above 7.4 times the peers' count as these."""

Array = NDArray[np.float64]


def _nats(share: Array) -> Array:
    """-ln of a share of peers; 0 where it is missing."""
    return np.nan_to_num(-np.log(np.clip(share, LEAST_SHARE, 1.0)), nan=0.0)


def _rest_nats(share: Array) -> Array:
    return _nats(1.0 - share)


def _ln_ratio(value: Array) -> Array:
    return np.clip(np.nan_to_num(value, nan=0.0, posinf=LN_RATIO_RANGE[1], neginf=LN_RATIO_RANGE[0]), *LN_RATIO_RANGE)


FEATURES: dict[str, tuple[str, Callable[[Array], Array]]] = {
    "price": ("price_ln_ratio", _ln_ratio),
    "tariff": ("tariff_ln_ratio", _ln_ratio),
    "day_price": ("day_price_ln_ratio", _ln_ratio),
    "short_stay": ("los_share_low", _nats),
    "long_stay": ("los_share_low", _rest_nats),
    "severity": ("severity_share", _nats),
    "admission": ("admission_share", _nats),
    "topup": ("topup_share", _nats),
    "comorbidity": ("comorbidity_share", _nats),
    "procedures": ("procedure_share", _nats),
    "readmission": ("readmission_share", _nats),
}
"""Feature -> column of claims_normalized and what is made of it: nats (-ln of a share of peers), or a difference of
logarithms; 0 is ordinary or unknown."""

ANOMALY_COLUMNS = tuple(dict.fromkeys(column for column, _ in FEATURES.values()))


def anomaly_matrix(claims: pa.Table | pa.RecordBatch) -> NDArray[np.float32]:
    """Return the features of some claims, shape (claims, len(FEATURES)), C order, finite."""
    result = np.empty((claims.num_rows, len(FEATURES)), dtype=np.float32)
    for index, (column, transform) in enumerate(FEATURES.values()):
        result[:, index] = transform(as_floats(claims.column(column)))
    return result
