"""Who cheats, how much of each pattern, and putting it among the honest claims."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ml.sample.claims import Claims
from ml.sample.config import FRAUD_TYPES, GeneratorConfig
from ml.sample.patterns import INPATIENT_PATTERNS, PATTERNS, ROOM
from ml.sample.providers import Providers
from ml.sample.sampling import Array, Rng, quotas
from ml.sample.scene import Scene
from ml.sample.season import first_day_number

_SECOND_PATTERN = 0.4
_INTENSITY_SPREAD = 0.5


@dataclass(frozen=True)
class Ring:
    """The bad providers. `patterns` is providers x FRAUD_TYPES; `intensity` how eagerly each cheats."""

    patterns: Array
    intensity: Array

    @property
    def bad(self) -> Array:
        """Mask of the providers with a pattern."""
        return np.asarray(self.patterns.any(axis=1))


def recruit(rng: Rng, config: GeneratorConfig, claims: Claims, providers: Providers) -> Ring:
    """Choose the bad providers and what each does systematically: one pattern, or two."""
    count = len(providers)
    patterns = np.zeros((count, len(FRAUD_TYPES)), dtype=bool)
    stays = np.bincount(claims.provider[claims.inpatient], minlength=count)
    visits = np.bincount(claims.provider, minlength=count)
    mains = _main_patterns(rng, config, round(config.bad_provider_share * count))
    for main in mains:
        # A pattern must fit the business; the biggest are watched too closely, the smallest have no cases for it.
        business = stays if FRAUD_TYPES[main] in INPATIENT_PATTERNS else visits
        usual = np.median(business[business > 0]) if business.any() else 0.0
        fits = (business >= 0.4 * usual) & (business <= 5 * usual) & ~patterns.any(axis=1)
        weight = business * fits
        if weight.sum() <= 0:
            break
        who = int(rng.choice(count, p=weight / weight.sum()))
        patterns[who, main] = True
        if rng.random() < _SECOND_PATTERN:
            patterns[who, int(rng.choice(mains))] = True
    return Ring(patterns, np.exp(rng.normal(0, _INTENSITY_SPREAD, count)))


def _main_patterns(rng: Rng, config: GeneratorConfig, wanted: int) -> Array:
    """Share the bad providers out: every pattern once, then by how many providers its rate needs."""
    rates = config.fraud.as_dict()
    active = rng.permutation([i for i, rate in enumerate(rates.values()) if rate > 0])
    if not len(active):
        return active
    need = np.sqrt([rates[FRAUD_TYPES[i]] / ROOM[FRAUD_TYPES[i]] for i in active])
    more = np.repeat(active, quotas(need, max(wanted - len(active), 0)))
    return np.concatenate([active[:wanted], more])


def commit(rng: Rng, config: GeneratorConfig, claims: Claims, providers: Providers, ring: Ring) -> Claims:
    """Return as many claims as there were, with the configured share of fraud among them.

    Invented claims take the place of honest ones of the same service level, so the total stays what it was.
    A pattern comes short where there are too few claims to build it on (a handful of claims in all).
    """
    rates = list(config.fraud.as_dict().values())
    total = round(config.fraud.total * len(claims))
    if total == 0:
        return claims
    scene = Scene(
        rng=rng,
        claims=claims,
        providers=providers,
        patterns=ring.patterns,
        intensity=ring.intensity,
        systematic=config.bad_provider_fraud_share,
        first_day=first_day_number(config),
    )
    for position, (pattern, wanted) in enumerate(zip(PATTERNS, quotas(rates, total), strict=True)):
        if wanted:
            pattern(scene, position, int(wanted))
    return _make_room(rng, scene)


def _make_room(rng: Rng, scene: Scene) -> Claims:
    claims = scene.claims
    if not scene.added:
        return claims
    added = scene.added[0].append(*scene.added[1:])
    free = (claims.fraud == 0) & ~scene.used
    gone = np.zeros(len(claims), dtype=bool)
    for level in (True, False):
        rows = rng.permutation(np.flatnonzero(free & (claims.inpatient == level)))
        gone[rows[: int((added.inpatient == level).sum())]] = True
    rest = rng.permutation(np.flatnonzero(free & ~gone))
    gone[rest[: len(added) - int(gone.sum())]] = True
    kept = claims.take(~gone)
    return kept.append(added.take(np.arange(len(claims) - len(kept))))
