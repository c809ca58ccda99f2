"""An Isolation Forest as plain arrays: exactly scikit-learn's scores, without a pickle and without scikit-learn.

Its compiled trees take a batch in half the time, but to load them takes longer than a million claims take here, and
90 MB of memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

if TYPE_CHECKING:
    from sklearn.ensemble import IsolationForest

ARRAYS = ("tree_starts", "feature", "threshold", "left", "right", "leaf_path_length")
MOST_LEVELS = 16
"""Levels a tree may have: scikit-learn grows log2(max_samples), 8 for its 256."""


class _Levels(NamedTuple):
    """Every tree filled up to the same number of levels: node i has the children 2i + 1 and 2i + 2.

    Below a leaf its path length stands in every place, so that it does not matter which way a claim goes on from there.

    Attributes:
        feature, threshold: shape (trees, 2**levels - 1); to the right goes a claim with more than the threshold.
        path_length: shape (trees, 2**levels), of the ends.
        levels: splits that every claim goes through in a tree.
    """

    feature: NDArray[np.intp]
    threshold: NDArray[np.float32]
    path_length: NDArray[np.float64]
    levels: int


@dataclass(frozen=True)
class Forest:
    """The trees, one after the other.

    Attributes:
        n_features: columns of the matrix.
        denominator: trees x average path length c(max_samples) of the training sample (Liu, Ting & Zhou 2008, eq. 1).
        offset: scikit-learn's `offset_`, the score at the contamination quantile.
        tree_starts: shape (trees + 1,), where each tree's nodes begin.
        feature, threshold, left, right: shape (nodes,), the split and children of each node (-1: leaf).
        leaf_path_length: shape (nodes,), path length h(x) credited to a claim that ends in the node.
    """

    n_features: int
    denominator: float
    offset: float
    tree_starts: NDArray[np.int64]
    feature: NDArray[np.int64]
    threshold: NDArray[np.float64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    leaf_path_length: NDArray[np.float64]

    def ml_score(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return `-decision_function` of each row: above 0 is more anomalous than the contamination quantile.

        Trees are summed in their order, as scikit-learn does, so the result equals its own bit for bit.
        """
        return -(-self.anomaly_score(matrix) - self.offset)

    def anomaly_score(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return `-score_samples` of each row: s(x) of Liu et al. 2008, eq. 2, in 0..1, about 0.5 where ordinary."""
        rows, places = _distinct(np.ascontiguousarray(matrix, dtype=np.float32))
        return np.asarray(2.0 ** (-self._depths(rows) / self.denominator)[places])

    def _depths(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the path lengths of some rows, summed over the trees, shape (rows,): all rows level by level."""
        count = len(rows)
        values, own = np.ascontiguousarray(rows.T).ravel(), np.arange(count)  # a feature's values side by side
        node, place = np.empty(count, np.intp), np.empty(count, np.intp)
        value, limit, right = np.empty(count, np.float32), np.empty(count, np.float32), np.empty(count, np.bool_)
        depths = np.zeros(count)
        starts = self._levels.feature * count
        for feature_start, threshold, path_length in zip(
            starts, self._levels.threshold, self._levels.path_length, strict=True
        ):
            node.fill(0)
            for _ in range(self._levels.levels):
                feature_start.take(node, out=place, mode="clip")  # "clip" only spares a copy: all are within bounds
                np.add(place, own, out=place)
                values.take(place, out=value, mode="clip")
                threshold.take(node, out=limit, mode="clip")
                np.greater(value, limit, out=right)
                np.multiply(node, 2, out=node)
                np.add(node, 1, out=node)
                np.add(node, right, out=node)
            depths += path_length.take(node - len(threshold))
        return depths

    @cached_property
    def _levels(self) -> _Levels:
        # x <= threshold says the same of a float32 x as x <= the largest float32 up to the threshold.
        threshold = self.threshold.astype(np.float32)
        threshold = np.where(threshold > self.threshold, np.nextafter(threshold, np.float32(-np.inf)), threshold)
        starts = self.tree_starts[:-1, np.newaxis]
        at = starts  # shape (trees, 2**level): the nodes of a level
        features, thresholds = [at[:, :0]], [threshold[at[:, :0]]]
        while (inner := self.left[at] >= 0).any():
            if len(features) > MOST_LEVELS:
                raise ValueError(f"a tree has more than {MOST_LEVELS} levels: train with at most 65,536 max_samples")
            features.append(np.where(inner, self.feature[at], 0))
            thresholds.append(threshold[at])
            children = [np.where(inner, starts + side[at], at) for side in (self.left, self.right)]
            at = np.stack(children, axis=2).reshape(len(starts), -1)
        return _Levels(
            np.concatenate(features, axis=1).astype(np.intp),
            np.concatenate(thresholds, axis=1),
            self.leaf_path_length[at],
            len(features) - 1,
        )


def _distinct(rows: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Return the different rows and, for each row, its place among them.

    Claims are billed by tariff, so four in five are like another one of their batch to the forest (alike bit for bit:
    0.0 and -0.0 count as different). To find them costs a fiftieth of sending all through the trees.
    """
    if not rows.size:
        return rows, np.zeros(len(rows), dtype=np.int32)
    width = rows.shape[1]
    kind = pa.binary(width * rows.itemsize)
    packed = pa.FixedSizeBinaryArray.from_buffers(kind, len(rows), [None, pa.py_buffer(rows)]).dictionary_encode()
    found = np.frombuffer(packed.dictionary.buffers()[1], np.float32, len(packed.dictionary) * width)
    return found.reshape(-1, width), packed.indices.to_numpy()


def from_sklearn(fitted: IsolationForest) -> Forest:
    """Take the arrays out of a fitted Isolation Forest that was trained on all its columns (max_features=1.0)."""
    trees = [estimator.tree_ for estimator in fitted.estimators_]
    average = _average_path_length(np.array([fitted.max_samples_]))[0]
    return Forest(
        n_features=int(fitted.n_features_in_),
        denominator=float(len(trees) * average),
        offset=float(fitted.offset_),
        tree_starts=np.concatenate([[0], np.cumsum([tree.node_count for tree in trees])]).astype(np.int64),
        feature=np.concatenate([tree.feature for tree in trees]).astype(np.int64),
        threshold=np.concatenate([tree.threshold for tree in trees]).astype(np.float64),
        left=np.concatenate([tree.children_left for tree in trees]).astype(np.int64),
        right=np.concatenate([tree.children_right for tree in trees]).astype(np.int64),
        leaf_path_length=np.concatenate(
            [tree.compute_node_depths() + _average_path_length(tree.n_node_samples) - 1.0 for tree in trees]
        ),
    )


def _average_path_length(samples: NDArray[np.int64]) -> NDArray[np.float64]:
    """c(n), the average path length of an unsuccessful search in a binary search tree (Liu et al. 2008, eq. 1)."""
    result = np.zeros(len(samples), dtype=np.float64)
    result[samples == 2] = 1.0
    many = samples > 2
    n = samples[many].astype(np.float64)
    result[many] = 2.0 * (np.log(n - 1.0) + np.euler_gamma) - 2.0 * (n - 1.0) / n
    return result
