"""How well providers are ranked: those that cheat systematically against the others of a labelled set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ml.evaluation.labelled import LabelledSet

Keys = NDArray[np.str_]
Floats = NDArray[np.float64]
ProviderScorer = Callable[[LabelledSet, Floats], tuple[Keys, Floats]]
"""From a labelled set and its claims' risk scores to facility keys and their scores, shape (providers,) both."""


@dataclass(frozen=True)
class Providers:
    """The providers of a labelled set.

    Attributes:
        keys: facility keys, sorted, shape (providers,).
        of_claim: position in `keys` of each claim's provider, shape (claims,).
        is_bad: whether the provider cheats systematically, shape (providers,).
    """

    keys: Keys
    of_claim: NDArray[np.intp]
    is_bad: NDArray[np.bool_]

    @classmethod
    def of(cls, labelled: LabelledSet) -> Providers:
        """Read the providers out of a set's claims file."""
        facility = pq.read_table(labelled.claims.path, columns=["facility_key"])["facility_key"]
        keys, of_claim = np.unique(facility.to_numpy(zero_copy_only=False).astype(np.str_), return_inverse=True)
        bad = np.asarray(labelled.labels["is_bad_provider"].to_numpy(), dtype=np.bool_)
        return cls(keys, of_claim, np.bincount(of_claim, weights=bad) > 0)

    @cached_property
    def claims(self) -> Floats:
        """Number of claims of each provider, shape (providers,)."""
        return self.total(np.ones(len(self.of_claim)))

    def total(self, values: Floats) -> Floats:
        """Sum of the claims' values by provider, shape (providers,)."""
        return np.asarray(np.bincount(self.of_claim, weights=values, minlength=len(self.keys)), dtype=np.float64)

    def mean(self, values: Floats) -> Floats:
        """Mean of the claims' values by provider, shape (providers,)."""
        return self.total(values) / self.claims

    def in_order(self, keys: Keys, scores: Floats) -> Floats:
        """Return scores in the order of `self.keys`.

        Raises:
            ValueError: they are not of exactly these providers.
        """
        order = np.argsort(keys)
        if not np.array_equal(np.asarray(keys)[order], self.keys):
            raise ValueError(f"scores of {len(keys)} providers do not fit the {len(self.keys)} of the set")
        return np.asarray(scores, dtype=np.float64)[order]


def provider_scores(labelled: LabelledSet, scores: Floats) -> tuple[Keys, Floats]:
    """Return what auditors get: provider_risk_score of `provider_risk`, which the ETL makes for every ruleset alike.

    THE place to put another provider score, such as one that makes use of the claims' scores.

    Args:
        labelled: the set.
        scores: risk_score of its claims in the order of the labels, shape (claims,); not needed here.
    """
    table = pq.read_table(labelled.claims.path, columns=["facility_key", "provider"])
    facility = table["facility_key"].to_numpy(zero_copy_only=False).astype(np.str_)
    keys, first = np.unique(facility, return_index=True)
    of_claim = pc.struct_field(table["provider"], "risk_score")  # its figures stand with each of its claims
    return keys, np.asarray(of_claim.to_numpy(), dtype=np.float64)[first]
