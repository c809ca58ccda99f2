"""An Isolation Forest as plain arrays: exactly scikit-learn's scores, without a pickle.

The arrays are those of scikit-learn's trees; for scoring, its own compiled `Tree` is rebuilt from them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

if TYPE_CHECKING:  # a second and 130 MB, which a task that only publishes or restores can do without
    from sklearn.ensemble import IsolationForest
    from sklearn.tree._tree import Tree

ARRAYS = ("tree_starts", "feature", "threshold", "left", "right", "leaf_path_length")


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
        depths = np.zeros(len(rows), dtype=np.float64)
        for tree, path_length in self._trees:
            depths += path_length[tree.apply(rows)]
        return np.asarray(2.0 ** (-depths / self.denominator)[places])

    @cached_property
    def _trees(self) -> list[tuple[Tree, NDArray[np.float64]]]:
        bounds = zip(self.tree_starts[:-1], self.tree_starts[1:], strict=True)
        return [(self._rebuild(start, stop), self.leaf_path_length[start:stop]) for start, stop in bounds]

    def _rebuild(self, start: int, stop: int) -> Tree:
        from sklearn.tree._tree import Tree

        tree = Tree(self.n_features, np.array([1], dtype=np.intp), 1)
        count = int(stop - start)
        state = tree.__getstate__()
        nodes = np.zeros(count, dtype=state["nodes"].dtype)
        nodes["left_child"] = self.left[start:stop]
        nodes["right_child"] = self.right[start:stop]
        nodes["feature"] = self.feature[start:stop]
        nodes["threshold"] = self.threshold[start:stop]
        tree.__setstate__(
            {**state, "node_count": count, "nodes": nodes, "values": np.zeros((count, 1, 1), dtype=np.float64)}
        )
        return tree


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
