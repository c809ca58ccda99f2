"""The money: tariffs, claimed amounts, administrative noise and verification."""

from __future__ import annotations

import numpy as np

from ml.sample.catalogue.topups import TOPUPS
from ml.sample.claims import Claims
from ml.sample.providers import Providers
from ml.sample.sampling import Array, Rng
from ml.sample.tariffs import tariff_table

LEAST, MOST = 69_400, 396_900_000  # the amounts of the 2022 sample lie between
_VERIFIED_DOWN = 0.0029
_VERIFIED_DOWN_FRAUD = 0.02

_table = tariff_table()
_topup_tariff = np.array([topup.tariff for topup in TOPUPS] + [0], dtype=np.int32)  # position -1 is none


def tariff_of(claims: Claims, providers: Providers) -> Array:
    """Look the INA-CBG tariff of claims up."""
    where = claims.provider
    return _table[
        claims.group, claims.severity, providers.facility_class[where], claims.ward, providers.tariff_region[where]
    ]


def topup_of(claims: Claims) -> Array:
    """Sum the special-CMG tariffs of claims."""
    total: Array = _topup_tariff[claims.topups].sum(axis=1, dtype=np.int32)
    return total


def price(claims: Claims, providers: Providers) -> None:
    """Set tariff and claimed amount to what the table says."""
    claims.tariff = tariff_of(claims, providers)
    claims.claimed = np.minimum(claims.tariff + topup_of(claims), MOST).astype(np.int32)


def disturb(rng: Rng, claims: Claims, share: float) -> None:
    """Let a share of the claims deviate honestly: the amount, mostly by a few percent, or a stay by a day."""
    rows = np.flatnonzero(rng.random(len(claims)) < share)
    money = rng.random(len(rows)) < 0.6
    odd = rows[money]
    factor = np.exp(np.clip(0.07 * rng.standard_t(3, len(odd)), -0.5, 0.7))
    claims.claimed[odd] = np.clip(np.round(claims.claimed[odd] * factor / 100) * 100, LEAST, MOST)
    stay = rows[~money]
    stay = stay[claims.inpatient[stay]]
    shift = rng.integers(-1, 2, len(stay))
    claims.admission[stay] = np.minimum(claims.admission[stay] + shift, claims.discharge[stay])


def verify(rng: Rng, claims: Claims) -> Array:
    """Return what is paid: the claimed amount, but for the few claims the verifiers cut or reject."""
    chance = np.where(claims.fraud > 0, _VERIFIED_DOWN_FRAUD, _VERIFIED_DOWN)
    cut = np.flatnonzero(rng.random(len(claims)) < chance)
    keep = np.where(rng.random(len(cut)) < 0.08, 0.0, rng.beta(4, 1.8, len(cut)))
    paid = claims.claimed.copy()
    paid[cut] = np.round(paid[cut] * keep / 100) * 100
    return paid
