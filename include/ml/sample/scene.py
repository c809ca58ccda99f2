"""The claims under the hands of the cheats: choosing whose claims, and marking what was done."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ml.sample.claims import Claims
from ml.sample.config import WINDOW_DAYS
from ml.sample.providers import Providers
from ml.sample.sampling import Array, Rng

_MOST_OF_A_PROVIDER = 0.6  # even a bad provider has honest claims


@dataclass
class Scene:
    """Claims while fraud is put among them. `used` are honest rows something was built on; they stay."""

    rng: Rng
    claims: Claims
    providers: Providers
    patterns: Array
    intensity: Array
    systematic: float
    first_day: int
    added: list[Claims] = field(default_factory=list)
    used: Array = field(init=False)

    def __post_init__(self) -> None:
        self.used = np.zeros(len(self.claims), dtype=bool)

    @property
    def last_day(self) -> int:
        """The window's last day, counted from 1970-01-01."""
        return self.first_day + WINDOW_DAYS - 1

    def choose(self, position: int, eligible: Array, wanted: int) -> Array:
        """Choose honest, unused rows for a pattern: mostly at the providers who do it, the rest sporadic.

        Returns:
            At most `wanted` rows, marked as used.
        """
        eligible = eligible & (self.claims.fraud == 0) & ~self.used
        theirs = self.patterns[self.claims.provider, position]
        at_bad = np.flatnonzero(eligible & theirs)
        most = min(round(self.systematic * wanted), int(_MOST_OF_A_PROVIDER * len(at_bad)))
        # Weighted draw without replacement: the smallest of exponential waiting times.
        wait = self.rng.exponential(size=len(at_bad)) / self.intensity[self.claims.provider[at_bad]]
        chosen = at_bad[np.argsort(wait, kind="stable")[:most]]
        others = np.flatnonzero(eligible & ~theirs)
        sporadic = self.rng.permutation(others)[: wanted - len(chosen)]
        rows = self.rng.permutation(np.concatenate([chosen, sporadic]))
        self.used[rows] = True
        return rows

    def mark(self, rows: Array, position: int) -> None:
        """Label rows of the claims."""
        self.claims.fraud[rows] = position + 1

    def add(self, claims: Claims, position: int) -> None:
        """Add invented claims, labelled."""
        claims.fraud[:] = position + 1
        self.added.append(claims)
