"""How good a ranking of claims or providers is: plain functions of arrays.

Ties flatter nobody: a precision or recall is the expected value when equal scores stand in random order. Only
the overlap needs one order; it is a fixed random one, since any order of the file (the claim id begins with the
facility) may know something of the labels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

TIE_SEED = 20220101
HONEST = "none"
"""The fraud type of an honest claim in the generator's labels."""


def chance_in_top(score: ArrayLike, k: int) -> NDArray[np.float64]:
    """Return each item's chance to be among the k highest scores, when equal scores stand in random order.

    Args:
        score: shape (n,), larger is riskier.
        k: places, 1 or more; beyond n it is n.

    Returns:
        Shape (n,), summing to min(k, n): 1 above the cut, 0 below it, (places left / items tied) on it.

    Raises:
        ValueError: k is below 1, there is nothing to rank, or a score is not a finite number.
    """
    values = _scores(score)
    if k < 1:
        raise ValueError(f"k is {k}; it must be 1 or more")
    places = min(k, len(values))
    cut = np.partition(values, len(values) - places)[len(values) - places]
    above, tied = values > cut, values == cut
    return np.asarray(above + tied * ((places - above.sum()) / tied.sum()), dtype=np.float64)


def precision_at(score: ArrayLike, is_fraud: ArrayLike, k: int) -> float:
    """Return the share of fraud (0..1) among the k highest scores; k beyond n is n.

    Raises:
        ValueError: see `chance_in_top`; or the arrays differ in length.
    """
    chance = chance_in_top(score, k)
    return float(chance @ _labels(is_fraud, len(chance)) / min(k, len(chance)))


def average_precision(score: ArrayLike, is_fraud: ArrayLike) -> float:
    """Return the mean precision (0..1) at the places of the frauds, expected over the order of ties; NaN without fraud.

    Without ties it is scikit-learn's `average_precision_score`. That one takes equal scores for one step and judges
    it at its end, which flatters a scorer whose frauds are tied below honest claims. Here, of t items tied after a
    others (p of them fraud), m are fraud: the j-th of them is fraud with chance m/t, and then expects
    (p + 1 + (j - 1)(m - 1)/(t - 1)) frauds among a + j items.

    Raises:
        ValueError: the arrays differ in length, are empty, or a score is not finite.
    """
    values = _scores(score)
    labels = _labels(is_fraud, len(values))
    if not labels.any():
        return float("nan")
    order = np.argsort(-values, kind="stable")
    _, block = np.unique(-values[order], return_inverse=True)
    tied = np.bincount(block)
    fraud = np.bincount(block, weights=labels[order])
    above, fraud_above = np.cumsum(tied) - tied, np.cumsum(fraud) - fraud
    place = np.arange(len(values)) - above[block]  # j - 1
    of_others = place * ((fraud - 1) / np.maximum(tied - 1, 1))[block]
    precision = (fraud_above[block] + 1 + of_others) / np.arange(1, len(values) + 1)
    return float(((fraud / tied)[block] * precision).sum() / labels.sum())


def roc_auc(score: ArrayLike, is_bad: ArrayLike) -> float:
    """Return the chance that a bad item scores above a good one, ties counting half; NaN with one kind only.

    Raises:
        ValueError: the arrays differ in length, are empty, or a score is not finite.
    """
    from sklearn.metrics import roc_auc_score  # not at the top: see ml.model.forest

    values = _scores(score)
    labels = _labels(is_bad, len(values))
    return float(roc_auc_score(labels, values)) if labels.any() and not labels.all() else float("nan")


def top_count(n: int, share: float) -> int:
    """Return how many of n items a share is, at least one.

    Raises:
        ValueError: the share is not within 0..1, 0 excluded.
    """
    if not 0 < share <= 1:
        raise ValueError(f"share is {share}; it must be above 0 and at most 1")
    return max(1, round(n * share))


def recall_in_top(score: ArrayLike, is_fraud: ArrayLike, share: float = 0.01) -> float:
    """Return the share of all fraud (0..1) that is found in the top `share` of the scores; NaN without any fraud.

    Raises:
        ValueError: see `chance_in_top` and `top_count`.
    """
    values = _scores(score)
    labels = _labels(is_fraud, len(values))
    chance = chance_in_top(values, top_count(len(values), share))
    return float(chance[labels].mean()) if labels.any() else float("nan")


def recall_by_type(score: ArrayLike, fraud_type: ArrayLike, share: float = 0.01) -> dict[str, float]:
    """Return for each fraud type there is the share (0..1) of its claims in the top `share` of the scores.

    Args:
        score: shape (n,), larger is riskier.
        fraud_type: shape (n,), names; `HONEST` is no fraud.
        share: of the n claims, above 0.

    Raises:
        ValueError: see `recall_in_top`.
    """
    types = np.asarray(fraud_type, dtype=np.str_)
    return {str(name): recall_in_top(score, types == name, share) for name in np.unique(types) if name != HONEST}


def top_overlap(a: ArrayLike, b: ArrayLike, k: int) -> float:
    """Return the share (0..1) of the top k in common, of two scores of the same items in the same order.

    Equal scores stand in the same fixed random order in both, as a list that an auditor gets has one order.

    Raises:
        ValueError: see `chance_in_top`; or the arrays differ in length.
    """
    first, second = _scores(a), _scores(b)
    if len(first) != len(second):
        raise ValueError(f"{len(first)} scores cannot be compared with {len(second)}: not the same items")
    if k < 1:
        raise ValueError(f"k is {k}; it must be 1 or more")
    places = min(k, len(first))
    common = np.intersect1d(_order(first)[:places], _order(second)[:places], assume_unique=True)
    return len(common) / places


def _order(values: NDArray[np.float64]) -> NDArray[np.intp]:
    """Positions by falling score, ties by the fixed random order."""
    return np.lexsort((np.random.default_rng(TIE_SEED).permutation(len(values)), -values))


def _scores(score: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(score, dtype=np.float64)
    if values.ndim != 1 or not len(values):
        raise ValueError(f"scores of shape {values.shape}; one dimension and at least one score are needed")
    if not np.isfinite(values).all():
        raise ValueError(f"{int((~np.isfinite(values)).sum())} of {len(values)} scores are not finite numbers")
    return values


def _labels(labels: ArrayLike, n: int) -> NDArray[np.bool_]:
    values = np.asarray(labels, dtype=np.bool_)
    if values.shape != (n,):
        raise ValueError(f"labels of shape {values.shape} do not fit {n} scores")
    return values
