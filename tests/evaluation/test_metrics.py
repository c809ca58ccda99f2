"""The figures against numbers worked out by hand and against every order that ties can have."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from ml.evaluation import metrics
from ml.evaluation.metrics import (
    average_precision,
    chance_in_top,
    precision_at,
    recall_by_type,
    recall_in_top,
    roc_auc,
    top_count,
    top_overlap,
)

SCORE = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
FRAUD = np.array([True, False, True, False, False])


def test_without_ties_by_hand() -> None:
    assert precision_at(SCORE, FRAUD, 1) == 1.0
    assert precision_at(SCORE, FRAUD, 2) == 0.5
    assert precision_at(SCORE, FRAUD, 3) == pytest.approx(2 / 3)
    assert average_precision(SCORE, FRAUD) == pytest.approx((1 / 1 + 2 / 3) / 2)
    assert roc_auc(SCORE, FRAUD) == pytest.approx(5 / 6)  # of 2 x 3 pairs only (0.7, 0.8) is wrong
    assert recall_in_top(SCORE, FRAUD, 0.4) == 0.5


def test_a_place_shared_by_ties_counts_by_its_chance() -> None:
    score = [1.0, 0.5, 0.5, 0.5, 0.0]
    assert chance_in_top(score, 2).tolist() == pytest.approx([1, 1 / 3, 1 / 3, 1 / 3, 0])
    assert precision_at(score, [False, True, False, False, True], 2) == pytest.approx(1 / 6)
    assert precision_at(score, [True, True, True, True, False], 3) == pytest.approx(1.0)
    assert recall_by_type(score, ["none", "a", "b", "b", "a"], 0.4) == pytest.approx({"a": 1 / 6, "b": 1 / 3})


def test_a_scorer_without_opinion_is_as_good_as_chance() -> None:
    """Turns red when ties keep the file's order: all the fraud stands first in it."""
    fraud = np.arange(1_000) < 10
    nothing = np.zeros(1_000)
    assert precision_at(nothing, fraud, 50) == pytest.approx(0.01)
    assert recall_in_top(nothing, fraud) == pytest.approx(0.01)
    assert roc_auc(nothing, fraud) == 0.5
    assert average_precision(nothing, fraud) < 0.02


@pytest.mark.parametrize(
    ("score", "fraud"),
    [
        ([3, 2, 2, 2, 1, 1], [0, 1, 0, 1, 1, 0]),
        ([1, 1, 1, 1], [1, 0, 1, 0]),
        ([5, 4, 3, 3], [0, 0, 1, 1]),
        ([2, 2, 1, 1, 1], [1, 1, 0, 0, 1]),
    ],
)
def test_ties_count_as_the_mean_over_all_their_orders(score: list[int], fraud: list[int]) -> None:
    """Every order of the items is tried as the order of the ties; a figure is the mean over them."""
    n = len(score)
    averages, precisions = [], []
    for order in permutations(range(n)):
        untied = np.array(score) + np.array(order) / (2 * n)
        averages.append(average_precision_score(fraud, untied))
        precisions.append([precision_at(untied, fraud, k) for k in range(1, n + 1)])
    assert average_precision(score, fraud) == pytest.approx(np.mean(averages))
    assert [precision_at(score, fraud, k) for k in range(1, n + 1)] == pytest.approx(np.mean(precisions, axis=0))


def test_frauds_tied_below_honest_claims_are_not_flattered() -> None:
    """Why scikit-learn's figure is not taken as it is: any order of these ties gives 5/12, it says 1/2."""
    score, fraud = [5, 4, 3, 3], [0, 0, 1, 1]
    assert average_precision_score(fraud, score) == pytest.approx(1 / 2)
    assert average_precision(score, fraud) == pytest.approx((1 / 3 + 2 / 4) / 2)


def test_average_precision_without_ties_is_scikit_learns() -> None:
    rng = np.random.default_rng(7)
    score, fraud = rng.random(5_000), rng.random(5_000) < 0.02
    assert average_precision(score, fraud) == pytest.approx(average_precision_score(fraud, score), rel=1e-12)


def test_k_beyond_the_items_is_all_of_them() -> None:
    assert precision_at(SCORE, FRAUD, 50) == pytest.approx(0.4)
    assert top_overlap(SCORE, SCORE[::-1], 50) == 1.0


def test_recall_is_of_each_type_and_of_none_that_is_not_there() -> None:
    score = np.arange(200, dtype=float)
    kinds = np.array(["none"] * 200, dtype=object)
    kinds[[199, 198, 100]] = ["clone", "upcoding", "upcoding"]
    assert recall_by_type(score, kinds, 0.01) == {"clone": 1.0, "upcoding": 0.5}
    assert recall_by_type(score, ["none"] * 200) == {}


def test_one_percent_of_a_handful_is_one() -> None:
    assert [top_count(n, 0.01) for n in (3, 100, 250, 100_000)] == [1, 1, 2, 1_000]


def test_overlap_by_hand_and_its_ties_stand_in_one_order() -> None:
    assert top_overlap([4, 3, 2, 1], [4, 1, 2, 3], 2) == 0.5
    assert top_overlap([4, 3, 2, 1], [1, 2, 3, 4], 2) == 0.0
    tied = np.zeros(500)
    assert top_overlap(tied, tied.copy(), 10) == 1.0


def test_ties_of_the_overlap_do_not_stand_in_the_files_order() -> None:
    """Turns red when the first of the file win a tie: they would then be the top of every scorer without opinion."""
    first_of_the_file = -np.arange(500, dtype=float)
    assert top_overlap(np.zeros(500), first_of_the_file, 10) < 0.5


def test_without_fraud_or_with_nothing_else_there_is_no_figure() -> None:
    none = np.zeros(5, dtype=bool)
    assert precision_at(SCORE, none, 2) == 0.0
    assert np.isnan([average_precision(SCORE, none), roc_auc(SCORE, none), recall_in_top(SCORE, none)]).all()
    assert np.isnan(roc_auc(SCORE, ~none))
    assert average_precision(SCORE, ~none) == 1.0


@pytest.mark.parametrize("name", ["precision_at", "top_overlap"])
def test_impossible_places_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="k is 0"):
        getattr(metrics, name)(SCORE, FRAUD, 0)


def test_impossible_input_is_refused() -> None:
    with pytest.raises(ValueError, match="1 of 2 scores are not finite"):
        precision_at([1.0, float("nan")], [True, False], 1)
    with pytest.raises(ValueError, match="do not fit 5 scores"):
        average_precision(SCORE, FRAUD[:4])
    with pytest.raises(ValueError, match="at least one score"):
        roc_auc([], [])
    with pytest.raises(ValueError, match="not the same items"):
        top_overlap(SCORE, SCORE[:3], 2)
    with pytest.raises(ValueError, match="share is 0"):
        recall_by_type(SCORE, ["a"] * 5, 0)
