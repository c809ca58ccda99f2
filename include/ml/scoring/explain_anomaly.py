"""Why the anomaly channel's forest finds a claim odd: how much of its score goes when a figure is made ordinary.

A statement about this model, not about cause; each figure it names is the claim's own against its peers'. The sentence
is written by the channel's statement, like every other channel's.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ml.model.anomaly import FEATURES, anomaly_matrix
from ml.model.artefact import RiskModel

ORDINARY = 0.0
"""What every feature of `ml.model.anomaly` is where there is nothing odd."""
USUAL_SHARE = 0.1
"""A figure that more than this share of the peers have is not named: the forest may lean on it, but it tells nobody."""
USUAL_RATIO = 1.1
"""Nor is a ratio of prices below this: who bills less than the peers gives an auditor nothing to look for."""
NAMED_SHARE = 0.3
"""A second figure is named only with at least this share of the first one's drop; less is hardly a reason."""
NAMES = np.array([*FEATURES], dtype=object)
RATIOS = np.array([name in ("price", "tariff", "day_price") for name in FEATURES])


def anomaly_drops(claims: pa.Table, model: RiskModel) -> NDArray[np.float64]:
    """Return how much of the anomaly score goes with each feature, shape (claims, features)."""
    matrix = anomaly_matrix(claims)
    odd_rows, odd_features = np.nonzero(matrix != ORDINARY)
    changed = matrix[odd_rows]
    changed[np.arange(len(changed)), odd_features] = ORDINARY
    score, without = np.split(model.anomaly.anomaly_score(np.concatenate([matrix, changed])), [len(matrix)])
    drops = np.zeros(matrix.shape, dtype=np.float64)
    drops[odd_rows, odd_features] = score[odd_rows] - without
    return drops


def is_remarkable(matrix: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which features of `ml.model.anomaly.anomaly_matrix` are far enough from ordinary to be named."""
    least = np.where(RATIOS, np.log(USUAL_RATIO), -np.log(USUAL_SHARE))
    remarkable: NDArray[np.bool_] = matrix >= least
    return remarkable


def anomaly_names(claims: pa.Table, odd: NDArray[np.bool_], model: RiskModel) -> dict[str, pa.Array]:
    """Name the figures that make some of the claims odd.

    Args:
        claims: the columns that scoring reads.
        odd: which of them to look at, shape (claims,).
        model: the model that scored them.

    Returns:
        `odd_first` and `odd_second`: of the remarkable features those with the largest drops, NULL where there is none;
        `odd_first_drop` and `odd_second_drop`: how much of the anomaly score goes with each.
    """
    drops = np.zeros((claims.num_rows, len(FEATURES)))
    looked_at = claims.filter(pa.array(odd))
    drops[odd] = np.where(is_remarkable(anomaly_matrix(looked_at)), anomaly_drops(looked_at, model), 0)
    order = np.argsort(-drops, axis=1, kind="stable")[:, :2]
    largest = np.take_along_axis(drops, order, axis=1)
    named = (largest > 0) & (largest >= NAMED_SHARE * largest[:, :1])
    result = {}
    for place, name in enumerate(("odd_first", "odd_second")):
        result[name] = pa.array(NAMES[order[:, place]], pa.string(), mask=~named[:, place])
        result[f"{name}_drop"] = pa.array(largest[:, place], mask=~named[:, place])
    return result
