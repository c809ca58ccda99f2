"""The providers: who owns them, what they offer, how big they are and what they see."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ml.sample.geography import PROVINCES
from ml.sample.sampling import Array, GroupedChoice, Rng, scatter, spread_evenly

LINES = (
    "general", "specialist", "surgery", "obstetric", "eye", "heart", "dialysis", "cancer", "mental", "lung", "neuro",
    "ortho", "dental", "rehab",
)  # fmt: skip
"""Service lines; a case needs one."""

MIX_SPREAD = 0.35
BEDS_SPREAD = 0.45
FRAILTY_SPREAD = 0.22
PACE_SPREAD = 0.12

# ownership, class: share of the providers (percent), mean size.
_POPULATION: tuple[tuple[int, int, float, float], ...] = (
    (1, 1, 0.7, 3.4), (1, 2, 0.5, 1.8), (2, 1, 0.6, 3.0), (2, 2, 2.0, 1.6), (2, 3, 0.8, 1.2), (2, 18, 0.6, 0.8),
    (3, 2, 3.4, 1.7), (3, 3, 13.0, 1.4), (3, 4, 9.0, 0.65), (4, 11, 1.0, 0.7), (4, 10, 0.5, 1.0), (5, 10, 0.7, 1.1),
    (5, 11, 1.0, 0.7), (5, 12, 0.9, 0.5), (6, 10, 0.4, 1.1), (7, 11, 0.4, 0.6), (8, 6, 0.5, 1.3), (8, 7, 1.0, 0.9),
    (9, 5, 0.1, 3.0), (9, 6, 3.8, 1.5), (9, 7, 28.0, 1.4), (9, 8, 13.0, 0.82), (9, 13, 0.6, 0.4), (9, 14, 0.2, 0.2),
    (9, 15, 0.5, 0.5), (9, 16, 4.0, 0.4), (3, 16, 0.3, 0.6), (1, 17, 0.2, 2.0), (1, 18, 0.4, 1.0), (1, 19, 0.1, 4.0),
    (1, 20, 0.1, 0.4), (9, 21, 1.2, 0.6), (3, 21, 0.2, 0.7), (3, 22, 0.3, 0.8), (1, 23, 0.1, 1.5), (9, 24, 0.3, 0.5),
    (9, 25, 6.5, 0.45), (3, 25, 0.3, 0.3), (9, 26, 0.6, 0.4),
)  # fmt: skip

_BIG = dict.fromkeys(LINES, 1.0) | {"specialist": 2.0, "heart": 2.5, "cancer": 2.5, "eye": 0.7, "mental": 0.8}
_MIDDLE = dict.fromkeys(LINES, 1.0) | {"heart": 0.5, "cancer": 0.5, "eye": 0.7, "mental": 0.6}
_SMALL = dict.fromkeys(LINES, 1.0) | {"specialist": 0.25, "heart": 0.02, "cancer": 0.08, "eye": 0.5, "mental": 0.4,
                                      "dialysis": 0.8, "neuro": 0.8}  # fmt: skip
_BASIC = {"general": 1.0, "surgery": 0.5, "obstetric": 0.9, "dialysis": 0.35, "lung": 0.6, "neuro": 0.4, "ortho": 0.15,
          "dental": 0.6, "rehab": 0.6, "eye": 0.25, "mental": 0.2}  # fmt: skip
_OFFERS: dict[int, dict[str, float]] = {
    1: _BIG, 2: _MIDDLE, 3: _SMALL, 4: _BASIC, 5: _BIG, 6: _MIDDLE, 7: _SMALL, 8: _BASIC, 9: _BIG, 10: _MIDDLE,
    11: _SMALL, 12: _BASIC, 13: {"surgery": 8, "ortho": 3, "general": 0.2}, 14: {"dental": 20}, 15: {"dialysis": 8},
    16: {"obstetric": 6, "general": 0.3}, 17: {"heart": 9, "general": 0.2}, 18: {"mental": 25, "general": 0.1},
    19: {"cancer": 15, "specialist": 1}, 20: {"general": 0.8}, 21: {"eye": 12}, 22: {"lung": 6, "general": 0.3},
    23: {"neuro": 8, "rehab": 2}, 24: {"ortho": 10, "rehab": 2}, 26: {"general": 0.8, "surgery": 0.5},
    25: {"general": 0.8, "dental": 1.5, "eye": 2.0, "dialysis": 1.5, "rehab": 2.0},
}  # fmt: skip
_HOME_CLASSES = (*range(1, 13), 25, 26)


@dataclass(frozen=True)
class Providers:
    """Arrays over the providers. `offers` is providers x lines x (RJTL, RITL): how much of a line each takes."""

    number: Array
    province: Array
    regency: Array
    ownership: Array
    kind: Array
    facility_class: Array
    tariff_region: Array
    size: Array
    frailty: Array  # factor on the comorbidities of its patients
    pace: Array  # factor on the length of stay
    offers: Array

    def __len__(self) -> int:
        return len(self.number)

    @property
    def home_weight(self) -> Array:
        """Weight with which people take a provider as the one they usually go to."""
        return self.size * np.isin(self.facility_class, _HOME_CLASSES)


def make_providers(rng: Rng, count: int) -> Providers:
    """Make a provider population of exactly the stated mixture; sizes are heavy-tailed within each sort."""
    share = np.array([row[2] for row in _POPULATION])
    per_sort = _systematic(share, count)
    sort = np.repeat(np.arange(len(_POPULATION)), per_sort)
    facility_class = np.array([_POPULATION[i][1] for i in sort])
    size = _sizes(rng, sort)
    province, regency, region = _places(rng, count)
    offers = np.array([[_OFFERS[c].get(line, 0.0) for line in LINES] for c in facility_class])
    offers = offers * np.exp(rng.normal(0, MIX_SPREAD, offers.shape))
    beds = np.exp(rng.normal(0, BEDS_SPREAD, count)) * (facility_class != 25)
    inpatient = offers * beds[:, None]
    return Providers(
        number=scatter(rng.permutation(count), 101, 28_000, int(rng.integers(1 << 30))),
        province=province,
        regency=regency,
        ownership=np.array([_POPULATION[i][0] for i in sort]),
        kind=np.where(facility_class == 25, 2, 1),
        facility_class=facility_class,
        tariff_region=region,
        size=size,
        frailty=np.exp(rng.normal(0, FRAILTY_SPREAD, count)),
        pace=np.exp(rng.normal(0, PACE_SPREAD, count)),
        offers=np.stack([offers, inpatient], axis=2),
    )


def _systematic(share: Array, count: int) -> Array:
    """Counts by share; with few providers the middle of the population comes first."""
    edges = np.cumsum(share) / share.sum()
    return np.bincount(np.searchsorted(edges, (np.arange(count) + 0.5) / count), minlength=len(share))


def _sizes(rng: Rng, sort: Array) -> Array:
    """Lognormal sizes, scaled so that each sort's total is as stated: the class mixture of claims stays put."""
    raw = np.exp(rng.normal(0, 0.8, len(sort)))
    total = np.bincount(sort, weights=raw, minlength=len(_POPULATION))
    wanted = np.bincount(sort, minlength=len(_POPULATION)) * np.array([row[3] for row in _POPULATION])
    sizes: Array = raw * (wanted / np.maximum(total, 1e-12))[sort]
    return sizes


def _places(rng: Rng, count: int) -> tuple[Array, Array, Array]:
    place = spread_evenly(rng, [province.population for province in PROVINCES], count)
    within = GroupedChoice([province.regency_weights for province in PROVINCES]).draw(rng, place)
    longest = max(len(province.regencies) for province in PROVINCES)
    table = np.zeros((len(PROVINCES), longest), dtype=np.int64)
    for row, province in zip(table, PROVINCES, strict=True):
        row[: len(province.regencies)] = province.regencies
    codes = np.array([province.code for province in PROVINCES])
    regions = np.array([province.tariff_region for province in PROVINCES])
    return codes[place], table[place, within], regions[place]
