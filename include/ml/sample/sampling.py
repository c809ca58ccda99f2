"""Vectorised draws: categorical by group, quotas, heavy tails."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Rng = np.random.Generator


class GroupedChoice:
    """Weighted choice among the items of a group, for millions of rows of different groups at once.

    All groups' cumulative weights stand one after the other on one line, group g between g and g + 1, so that
    one binary search answers every row.
    """

    def __init__(self, groups: Iterable[Sequence[float] | Array]) -> None:
        tables = [np.asarray(group, dtype=np.float64) for group in groups]
        self.empty: Array = np.array([table.sum() <= 0 for table in tables])
        self._start = np.concatenate([[0], np.cumsum([len(table) for table in tables])])
        self._line = np.concatenate([_unit(table) + number for number, table in enumerate(tables)])

    def draw(self, rng: Rng, group: Array) -> Array:
        """Return, for each row, the position of an item within its group; the group must not be empty."""
        if self.empty.any() and self.empty[group].any():
            raise ValueError("a draw from an empty group")
        point = rng.random(len(group)) + group
        found = np.searchsorted(self._line, point, side="right")
        # Rounding may carry a point on the last step over the edge of its group.
        place: Array = np.minimum(found, self._start[np.asarray(group) + 1] - 1) - self._start[group]
        return place


def _unit(table: Array) -> Array:
    total = table.sum()
    return np.cumsum(table) / total if total > 0 else np.ones(len(table))


def quotas(shares: Sequence[float] | Array, total: int) -> Array:
    """Split a total into whole numbers in proportion to the shares (largest remainder)."""
    exact = np.asarray(shares, dtype=np.float64) / np.sum(shares) * total
    whole: Array = np.floor(exact).astype(np.int64)
    order = np.argsort(-(exact - whole), kind="stable")
    whole[order[: total - int(whole.sum())]] += 1
    return whole


def spread_evenly(rng: Rng, shares: Sequence[float] | Array, count: int) -> Array:
    """Draw `count` categories whose counts follow the shares exactly, in random order."""
    return rng.permutation(np.repeat(np.arange(len(shares)), quotas(shares, count)))


def scatter(number: Array, low: int, high: int, seed: int) -> Array:
    """Map 0, 1, 2, ... one to one onto scattered numbers of low..high-1, as long as they are fewer than these.

    Raises:
        ValueError: a number does not fit.
    """
    size = high - low
    if len(number) and int(number.max()) >= size:
        raise ValueError(f"more than {size} numbers are needed")
    step = 6_700_417 + 2 * (seed % 100_003)
    while np.gcd(step, size) != 1:
        step += 2
    return (number.astype(np.int64) * step + seed % size) % size + low
