"""The people: what they suffer from, where they live, who their family is and what they are entitled to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ml.sample.catalogue.diagnoses import INDEX
from ml.sample.providers import Providers
from ml.sample.sampling import Array, GroupedChoice, Rng, scatter


@dataclass(frozen=True)
class Kind:
    """A kind of patient. `courses` is the number of courses of illness a year among those who come at all."""

    courses: float
    frailty: float
    history: str  # diagnoses that follow the patient through every stay


KINDS: dict[str, Kind] = {
    "infant": Kind(1.4, 0.75, ""),
    "child": Kind(1.3, 0.65, ""),
    "mother": Kind(1.9, 0.8, ""),
    "adult": Kind(1.6, 0.8, ""),
    "elder": Kind(2.2, 1.35, "I10 M19.9"),
    "diabetic": Kind(2.2, 1.45, "E11.9 I10"),
    "cardiac": Kind(2.4, 1.4, "I10 I25.1"),
    "renal": Kind(2.0, 1.5, "N18.9 I10"),
    "lung": Kind(1.8, 1.2, "J44.9"),
    "cancer": Kind(2.0, 1.2, "D63.0"),
    "mental": Kind(1.3, 0.5, "F41.1"),
    "neuro": Kind(1.8, 1.3, "I69.4 I10"),
}
KIND_NAMES = tuple(KINDS)
HISTORY: list[list[int]] = [[INDEX[code] for code in kind.history.split()] for kind in KINDS.values()]

SEGMENTS = (0.12, 0.40, 0.16, 0.14, 0.18)  # 1 non-workers, 2 PBI APBN, 3 PBI APBD, 4 PBPU, 5 PPU
_WARD_BY_SEGMENT = ((0.45, 0.35, 0.20), (0.0, 0.0, 1.0), (0.0, 0.0, 1.0), (0.15, 0.20, 0.65), (0.35, 0.45, 0.20))
_FAMILY_SIZES = (0.42, 0.27, 0.17, 0.09, 0.05)


@dataclass(frozen=True)
class Patients:
    """Arrays over the patients; `home` is the provider they usually go to."""

    number: Array
    family: Array
    kind: Array
    home: Array
    segment: Array
    ward: Array
    weight: Array
    primary_care: Array  # number of the primary-care facility that refers them

    def __len__(self) -> int:
        return len(self.number)


def how_many(courses_by_kind: Array) -> Array:
    """Return the number of patients of each kind that so many courses need."""
    rate = np.array([kind.courses for kind in KINDS.values()])
    count: Array = np.ceil(courses_by_kind / rate).astype(np.int64)
    return count


def make_patients(rng: Rng, per_kind: Array, providers: Providers) -> Patients:
    """Make the patients, those of one kind side by side, in the order of KINDS."""
    count = int(per_kind.sum())
    home = _homes(rng, count, providers)
    by_home = np.argsort(home, kind="stable")  # a family lives in one place
    size = rng.choice(len(_FAMILY_SIZES), count, p=_FAMILY_SIZES) + 1
    family = np.empty(count, dtype=np.int64)
    family[by_home] = np.repeat(np.arange(count), size)[:count]
    families = int(family.max()) + 1
    # Segment and entitlement belong to the family, not to the person.
    segment = GroupedChoice([SEGMENTS]).draw(rng, np.zeros(families, dtype=np.int64))
    ward = GroupedChoice(_WARD_BY_SEGMENT).draw(rng, segment) + 1
    weight = np.round(np.exp(rng.normal(3.6, 0.7, families)), 6)
    salt = int(rng.integers(1 << 30))
    return Patients(
        number=scatter(rng.permutation(count), 10_000_000, 99_999_999, salt),
        family=scatter(family, 10_000_000, 99_999_999, salt + 7),
        kind=np.repeat(np.arange(len(per_kind)), per_kind),
        home=home,
        segment=segment[family] + 1,
        ward=ward[family],
        weight=weight[family],
        primary_care=1_000 + (providers.number[home] * 37 + family % 29) % 899_000,
    )


def _homes(rng: Rng, count: int, providers: Providers) -> Array:
    weight = providers.home_weight
    weight = weight if weight.sum() > 0 else providers.size
    # Evenly spaced points instead of independent draws: the mixture of classes stays what it is, whatever the seed.
    point = (rng.permutation(count) + rng.random()) / count
    edges = np.cumsum(weight) / weight.sum()
    return np.minimum(np.searchsorted(edges, point, side="right"), len(weight) - 1)
