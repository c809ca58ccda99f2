"""How surprising a claim's evidence is, on a scale learned at training and frozen with the model.

The surprise of an evidence e is -log10 of the share of training claims with at least e: 2 means one claim in a hundred.
It is the same on every night and in any split of the claims, and does not move when one outlier appears.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOST_KNOTS = 1_000
TAIL_KNOTS = 300
"""That many of the largest evidences are knots themselves; the other knots are evenly spaced in surprise."""
MOST_EVIDENCE = 1e6
"""Infinite evidence counts as this much, so that every surprise is finite."""
LEAST_EVIDENCE = 1e-300
"""Less counts as none: the slope up to so small a first knot is not finite."""
LOG10_E = 0.4342944819032518
"""Beyond the largest evidence of training one nat more is taken for e times as rare."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """Channel -> knots.

    Attributes:
        evidence: channel -> shape (knots,), strictly rising, above 0.
        surprise: channel -> shape (knots,), strictly rising, above 0.
    """

    evidence: Mapping[str, Array]
    surprise: Mapping[str, Array]

    def of(self, channel: str, evidence: Array) -> Array:
        """Return the surprise of some evidence, shape as given, 0 or more and finite.

        No evidence (0, below it, or missing) is no surprise. Between knots it is interpolated linearly.

        Raises:
            KeyError: the channel was not calibrated.
        """
        knots, heights = self.evidence[channel], self.surprise[channel]
        known = _bounded(evidence)
        result = np.zeros(known.shape)
        some = known > 0  # most claims have no evidence of most channels
        values = known[some]
        if len(knots):
            beyond = np.maximum(values - knots[-1], 0.0) * LOG10_E
            result[some] = np.interp(values, np.append(0.0, knots), np.append(0.0, heights)) + beyond
        else:  # nothing of the kind in training: all there is, is new
            result[some] = values * LOG10_E
        return result


def learn_calibration(evidence: Mapping[str, Array]) -> Calibration:
    """Learn the scale of each channel from the training claims' evidence (missing counts as none)."""
    knots = {channel: _knots(_bounded(values)) for channel, values in evidence.items()}
    return Calibration(
        evidence={channel: found[0] for channel, found in knots.items()},
        surprise={channel: found[1] for channel, found in knots.items()},
    )


def _bounded(evidence: Array) -> Array:
    known = np.clip(np.nan_to_num(evidence, nan=0.0), 0.0, MOST_EVIDENCE)
    return np.asarray(np.where(known < LEAST_EVIDENCE, 0.0, known))


def _knots(values: Array) -> tuple[Array, Array]:
    """The evidence and surprise of at most MOST_KNOTS knots."""
    different, claims = np.unique(values[values > 0], return_counts=True)
    at_least = np.cumsum(claims[::-1])[::-1]
    surprise = np.log10((len(values) + 1) / at_least)
    if len(different) > MOST_KNOTS:
        levels = np.linspace(surprise[0], surprise[-1], MOST_KNOTS - TAIL_KNOTS)
        chosen = np.union1d(
            np.searchsorted(surprise, levels).clip(max=len(different) - 1),
            np.arange(len(different) - TAIL_KNOTS, len(different)),
        )
        different, surprise = different[chosen], surprise[chosen]
    return different.astype(np.float64), surprise.astype(np.float64)
