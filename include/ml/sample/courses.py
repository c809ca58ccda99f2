"""Courses of illness: who has what, where it is treated, and on which days the visits fall."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ml.sample import patients as people
from ml.sample.catalogue.model import Case, weights
from ml.sample.catalogue.tables import CASES, case_diagnoses, case_outpatient
from ml.sample.config import WINDOW_DAYS, GeneratorConfig
from ml.sample.patients import KIND_NAMES, Patients
from ml.sample.providers import LINES, Providers
from ml.sample.sampling import Array, GroupedChoice, Rng, quotas
from ml.sample.season import SEASONS, Calendar

INPATIENT_SHARE = 0.1170
HOME_FIRST = 0.8  # chance that a patient stays with the usual provider when it offers what is needed

_line = np.array([LINES.index(case.line) for case in CASES])
_season = np.array([SEASONS.index(case.season) for case in CASES])
_gap = np.array([case.gap for case in CASES])
_jitter = np.array([case.jitter for case in CASES])
_after_stay = np.array([case.after_stay for case in CASES])
_in_week = case_outpatient & (_gap < 7) & np.array([case.visits >= 2 for case in CASES])


@dataclass(frozen=True)
class Visits:
    """One row a visit. `day` is the discharge day as a position in the window."""

    case: Array
    patient: Array
    provider: Array
    day: Array
    diagnosis: Array
    patients: Patients


def plan(config: GeneratorConfig, rng: Rng, providers: Providers) -> Visits:
    """Plan the honest visits: exactly `config.claims` of them."""
    case, length = _courses(config, rng)
    kind = GroupedChoice([_kind_weights(item) for item in CASES]).draw(rng, case)
    ours = ~_after_stay[case]
    demand = np.bincount(kind[ours], minlength=len(KIND_NAMES))
    demand[np.bincount(kind, minlength=len(KIND_NAMES)) > 0] += 1
    per_kind = people.how_many(demand)
    patients = people.make_patients(rng, per_kind, providers)
    patient = _assign(rng, case, kind, per_kind)
    provider = _where(rng, case, patients.home[patient], providers)
    pick = GroupedChoice(case_diagnoses.weights).draw(rng, case)
    diagnosis = case_diagnoses.items[case, pick]

    course = np.repeat(np.arange(len(case)), length)
    day = _days(config, rng, case, length, course)
    visits = Visits(case[course], patient[course], provider[course], day, diagnosis[course], patients)
    _follow_stays(rng, visits)
    return visits


def _courses(config: GeneratorConfig, rng: Rng) -> tuple[Array, Array]:
    """Return case and number of visits of each course; the visits sum to the wanted claims."""
    share = np.array([case.weight * (config.epidemic if case.season != "flat" else 1.0) for case in CASES])
    inpatients = round(config.claims * INPATIENT_SHARE)
    wanted = np.zeros(len(CASES), dtype=np.int64)
    wanted[case_outpatient] = quotas(share[case_outpatient], config.claims - inpatients)
    wanted[~case_outpatient] = quotas(share[~case_outpatient], inpatients)
    lengths = [_lengths(rng, case, int(n)) for case, n in zip(CASES, wanted, strict=True)]
    return np.repeat(np.arange(len(CASES)), [len(part) for part in lengths]), np.concatenate(lengths)


def _lengths(rng: Rng, case: Case, claims: int) -> Array:
    """Split a case's claims into courses of at least one visit, `case.visits` on average, right-skewed."""
    if case.visits == 1.0 or claims == 0:
        return np.ones(claims, dtype=np.int64)
    shape = 1.5
    mean = case.visits - 1
    drawn = np.zeros(0, dtype=np.int64)
    while drawn.sum() < claims:
        more = rng.negative_binomial(shape, shape / (shape + mean), size=int(claims / case.visits) + 4) + 1
        drawn = np.concatenate([drawn, np.minimum(more, case.most_visits)])
    total = np.cumsum(drawn)
    last = int(np.searchsorted(total, claims))
    drawn = drawn[: last + 1].copy()
    drawn[last] -= total[last] - claims
    return drawn


def _kind_weights(case: Case) -> list[float]:
    given = weights(case.kinds)
    return [given.get(name, 0.0) for name in KIND_NAMES]


def _assign(rng: Rng, case: Array, kind: Array, per_kind: Array) -> Array:
    """Give every course a patient of its kind; within a case nobody comes twice before all have had a turn."""
    first = np.concatenate([[0], np.cumsum(per_kind)])
    patient = np.empty(len(case), dtype=np.int64)
    key = case * len(KIND_NAMES) + kind
    order = np.argsort(key, kind="stable")
    edges = np.flatnonzero(np.diff(key[order], prepend=-1))
    for start, end in zip(edges, [*edges[1:], len(order)], strict=True):
        rows = order[start:end]
        number = int(kind[rows[0]])
        turn = rng.permutation(int(per_kind[number]))
        patient[rows] = first[number] + turn[np.arange(len(rows)) % len(turn)]
    return patient


def _where(rng: Rng, case: Array, home: Array, providers: Providers) -> Array:
    """The usual provider where it offers the line, else a referral within the province, else in the country."""
    level = np.where(case_outpatient[case], 0, 1)
    line = _line[case]
    offer = providers.offers[home, line, level]
    stays = rng.random(len(case)) < np.minimum(HOME_FIRST * offer, 0.95)
    provinces, place = np.unique(providers.province, return_inverse=True)
    pull = providers.offers * providers.size[:, None, None]
    shape = (len(LINES), 2)
    near = GroupedChoice(
        np.where(place == p, pull[:, li, le], 0.0)
        for p in range(len(provinces))
        for li in range(shape[0])
        for le in range(shape[1])
    )
    far = GroupedChoice(pull[:, li, le] for li in range(shape[0]) for le in range(shape[1]))
    group = line * 2 + level
    group_near = place[home] * (shape[0] * 2) + group
    chosen = home.copy()
    here = ~stays & ~near.empty[group_near]
    chosen[here] = near.draw(rng, group_near[here])
    there = ~stays & near.empty[group_near] & ~far.empty[group]
    chosen[there] = far.draw(rng, group[there])
    return chosen


def _days(config: GeneratorConfig, rng: Rng, case: Array, length: Array, course: Array) -> Array:
    calendar = Calendar(config)
    start = calendar.draw(rng, _season[case])
    visit = np.arange(len(course)) - np.repeat(np.cumsum(length) - length, length)
    of = case[course]
    # Visits come neither before the last one nor on its day.
    wobble = np.clip(rng.normal(0, 1, len(course)), -1.5, 1.5) * np.minimum(_jitter, _gap / 3)[of] * (visit > 0)
    offset = start[course] + visit * _gap[of] + wobble
    # A course that leaves the window at its end had begun before it: what sticks out comes back in front.
    day = np.floor(offset).astype(np.int64) % WINDOW_DAYS
    day = np.where(case_outpatient[of], calendar.to_open_day(rng, day), day)
    # Series keep their rhythm on polyclinic days instead: two dialyses never fall on one day.
    series = _in_week[of]
    open_days = calendar.open_days
    position = np.floor(offset[series] * len(open_days) / WINDOW_DAYS).astype(np.int64)
    day[series] = open_days[position % len(open_days)]
    return day


def _follow_stays(rng: Rng, visits: Visits) -> None:
    """Let control visits after a stay follow an actual stay: same patient, same provider, days later."""
    control = np.flatnonzero(_after_stay[visits.case])
    stays = np.flatnonzero(~case_outpatient[visits.case] & (visits.day <= WINDOW_DAYS - 12))
    stays = rng.permutation(stays)[: len(control)]
    control = control[: len(stays)]
    visits.patient[control] = visits.patient[stays]
    visits.provider[control] = visits.provider[stays]
    visits.day[control] = visits.day[stays] + rng.integers(3, 11, len(stays))
