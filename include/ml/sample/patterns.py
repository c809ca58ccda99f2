"""The known fraud patterns, each the way it is done: what is claimed changes, what was done does not.

A pattern gets the scene, its position in FRAUD_TYPES, and how many claims shall carry its label.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ml.sample import clinical, money
from ml.sample.catalogue.tables import (
    CASE_INDEX,
    CASES,
    case_diagnoses,
    case_group,
    case_pool,
    case_procedures,
    diagnosis_cc,
    pool_diagnoses,
)
from ml.sample.claims import MOST_SECONDARY, Claims
from ml.sample.config import FRAUD_TYPES
from ml.sample.sampling import Array, GroupedChoice, Rng
from ml.sample.scene import Scene
from ml.sample.season import weekday

# A neighbouring INA-CBG that pays more for much the same patient.
_CREEP = {
    "pneumonia": "sepsis", "urinary infection": "sepsis", "dyspepsia": "gastrointestinal bleeding",
    "hypertension": "heart failure", "upper airways infection": "pneumonia", "angina": "myocardial infarction",
    "vertigo": "cerebral infarction", "dengue": "typhoid",
}  # fmt: skip
_CREEP_SHARE = 0.3
# The same for visits: a small procedure that was not done. Some of these pairs are honest now and then.
_VISIT_CREEP = {
    "hypertension control": "echocardiography and treadmill", "diabetes control": "eye examination",
    "heart disease control": "echocardiography and treadmill", "lung disease control": "CT scan",
    "dyspepsia control": "endoscopy", "stomach and fever": "abdominal ultrasound",
    "thyroid control": "abdominal ultrasound", "airways infection": "ear, nose, throat procedure",
    "skin and eye complaint": "minor surgery", "wound care": "minor surgery",
    "pain and urinary complaint": "abdominal ultrasound", "joint and back control": "MRI",
}  # fmt: skip
_VISIT_SHARE = 0.25
# Stays that are quickly invented: nothing was operated, nobody was born.
_PHANTOM_CASES = {"gastroenteritis": 3, "dyspepsia": 4, "typhoid": 4, "pneumonia": 3, "hypertension": 3, "vertigo": 2,
                  "diabetes": 3, "heart failure": 2, "urinary infection": 2, "anaemia": 1}  # fmt: skip
_PHANTOM_VISIT_SHARE = 0.2
_SESSION_SHARE = 0.15
_SESSIONS = [CASE_INDEX[name] for name in ("haemodialysis", "physiotherapy")]
_MORE_SESSIONS = 3  # a patient comes twice a week
_SERIES = [CASE_INDEX[name] for name in ("haemodialysis", "radiotherapy")]
_LEAST_FOR_SPLIT = 4  # days
# What a visit's work-up would be claimed as, were it a visit of its own.
_WORK_UPS = np.array([CASE_INDEX[name] for name in ("echocardiography and treadmill", "abdominal ultrasound", "CT scan",
                                                    "eye examination")])  # fmt: skip
_SPLIT_VISIT_SHARE = 0.3

INPATIENT_PATTERNS = frozenset({"upcoding", "phantom_billing", "fragmentation", "unnecessary_topup"})

ROOM = {"upcoding": 0.11, "phantom_billing": 0.85, "repeat_billing": 0.85, "cloned_claim": 0.28, "inflated_bill": 0.16,
        "fragmentation": 0.025, "unnecessary_topup": 0.11}  # fmt: skip
"""Share of a hospital's claims on which each pattern can be done, roughly."""

_creep = np.full(len(CASES), -1)
for _from, _to in (_CREEP | _VISIT_CREEP).items():
    _creep[CASE_INDEX[_from]] = CASE_INDEX[_to]

# Comorbidities of each pool that raise a stay to II, and to III.
_raising: list[list[dict[int, float]]] = [
    [
        {int(item): weight for item, weight in zip(row, part, strict=False) if diagnosis_cc[item] == cc}
        for row, part in zip(pool_diagnoses.items, pool_diagnoses.weights, strict=True)
    ]
    for cc in (1, 2)
]


def _raise_to(rng: Rng, claims: Claims, rows: Array, severity: Array) -> None:
    """Write a comorbidity that takes stays to a severity, and let the grouper do the rest."""
    for cc in (1, 2):
        some = rows[severity == cc + 1]
        table = _raising[cc - 1]
        if not len(some):
            continue
        choice = GroupedChoice([list(part.values()) for part in table])
        pool = case_pool[claims.case[some]]
        some, pool = some[~choice.empty[pool]], pool[~choice.empty[pool]]
        widest = max(len(part) for part in table)
        items = np.array([list(part) + [-1] * (widest - len(part)) for part in table])
        place = np.minimum((claims.secondary[some] >= 0).sum(axis=1), MOST_SECONDARY - 1)
        claims.secondary[some, place] = items[pool, choice.draw(rng, pool)]
    claims.secondary[rows] = clinical.tidy(claims.secondary[rows], claims.diagnosis[rows])
    claims.severity[rows] = clinical.severity_of(claims.secondary[rows])


def _reprice(scene: Scene, rows: Array) -> None:
    part = scene.claims.take(rows)
    money.price(part, scene.providers)
    scene.claims.tariff[rows] = part.tariff
    scene.claims.claimed[rows] = part.claimed


def upcoding(scene: Scene, position: int, wanted: int) -> None:
    """A comorbidity that was not treated raises the severity, or the claim moves to a dearer group.

    A stay takes on the group's diagnosis; a visit keeps its own, and claims a procedure's group without the procedure.
    """
    claims, rng = scene.claims, scene.rng
    visits = scene.choose(position, ~claims.inpatient & (_creep[claims.case] >= 0), round(_VISIT_SHARE * wanted))
    stays = scene.choose(position, claims.inpatient & (claims.severity < 3), wanted - len(visits))
    creeps = (_creep[claims.case[stays]] >= 0) & (rng.random(len(stays)) < _CREEP_SHARE)
    moved = stays[creeps]
    claims.diagnosis[moved] = case_diagnoses.items[_creep[claims.case[moved]], 0]
    rows = np.concatenate([visits, stays])
    moved = np.concatenate([visits, moved])
    claims.group[moved] = case_group[_creep[claims.case[moved]]]
    raised = stays[~creeps]
    now = claims.severity[raised]
    _raise_to(rng, claims, raised, np.where((now == 1) & (rng.random(len(raised)) < 0.5), 2, 3))
    _reprice(scene, rows)
    scene.mark(rows, position)


def phantom_billing(scene: Scene, position: int, wanted: int) -> None:
    """What never was, for a known patient: a stay hardly a day long, at full cost; a visit; sessions of a series."""
    of_sessions = _invent_sessions(scene, position, round(_SESSION_SHARE * wanted))
    _invent_stays(scene, position, wanted - of_sessions)


def _invent_sessions(scene: Scene, position: int, wanted: int) -> int:
    """Up to three sessions more, on the workdays after one that is real. Return how many there are."""
    claims = scene.claims
    early = weekday(claims.discharge) <= 1  # Monday or Tuesday
    can = np.isin(claims.case, _SESSIONS) & early & (claims.discharge <= scene.last_day - _MORE_SESSIONS)
    sources = scene.choose(position, can, math.ceil(wanted / _MORE_SESSIONS))
    more = claims.take(np.repeat(sources, _MORE_SESSIONS)[:wanted])
    days = np.tile(np.arange(1, _MORE_SESSIONS + 1, dtype=np.int32), len(sources))[:wanted]
    more.admission = more.admission + days
    more.discharge = more.discharge + days
    scene.add(more, position)
    return len(more)


def _invent_stays(scene: Scene, position: int, wanted: int) -> None:
    """A stay that never was, some of them mere visits."""
    claims, rng = scene.claims, scene.rng
    can = scene.providers.kind[claims.provider] == 1  # a hospital
    sources = scene.choose(position, ~claims.inpatient & can, wanted)
    fake = claims.take(sources)
    rows = len(fake)
    stay = rng.random(rows) >= _PHANTOM_VISIT_SHARE
    names = list(_PHANTOM_CASES)
    pick = rng.choice(len(names), rows, p=np.array(list(_PHANTOM_CASES.values())) / sum(_PHANTOM_CASES.values()))
    case = np.array([CASE_INDEX[name] for name in names])[pick]
    fake.case[stay] = case[stay]
    fake.group[stay] = case_group[case[stay]]
    fake.diagnosis[stay] = fake.admitted_as[stay] = case_diagnoses.items[case[stay], 0]
    fake.procedures[stay] = case_procedures.items[case[stay], 0]
    fake.topups[stay] = -1
    drawn = clinical.draw_secondaries(rng, fake.case, rng.integers(1, 3, rows))
    fake.secondary[stay] = clinical.tidy(drawn[stay], fake.diagnosis[stay])
    inpatient = np.flatnonzero(stay)
    _raise_to(rng, fake, inpatient, np.searchsorted([0.5, 0.85], rng.random(len(inpatient))) + 1)
    fake.discharge = _within(scene, fake.discharge + rng.integers(-30, 31, rows))
    los = np.searchsorted([0.35, 0.85], rng.random(rows))  # 0, 1 or 2 days
    fake.admission = (fake.discharge - np.where(stay, los, 0)).astype(np.int32)
    fake.status[:] = 1
    money.price(fake, scene.providers)
    scene.add(fake, position)


def repeat_billing(scene: Scene, position: int, wanted: int) -> None:
    """The same visit billed again, at most three days away."""
    claims, rng = scene.claims, scene.rng
    sources = scene.choose(position, ~np.isin(claims.case, _SERIES), wanted)
    again = claims.take(sources)
    shift = rng.choice(4, len(again), p=(0.15, 0.4, 0.25, 0.2)).astype(np.int32)
    shift = np.where(again.discharge + shift > scene.last_day, -shift, shift)
    again.admission = again.admission + shift
    again.discharge = again.discharge + shift
    scene.add(again, position)


def cloned_claim(scene: Scene, position: int, wanted: int) -> None:
    """One claim's text and amounts, pasted for other patients of the same provider."""
    claims, rng = scene.claims, scene.rng
    copies = rng.integers(3, 8, wanted)  # more than enough templates
    batches = int(np.searchsorted(np.cumsum(copies), wanted)) + 1
    rich = claims.inpatient | ((claims.secondary >= 0).sum(axis=1) >= 2)
    templates = scene.choose(position, rich, batches)
    template = np.repeat(templates, copies[: len(templates)])[:wanted]
    clones = claims.take(template)
    clones.patient = _other_patients(rng, claims, clones)
    start = _within(scene, clones.discharge + rng.integers(-12, 13, len(clones)))
    clones.admission = (start - clones.los).astype(np.int32)
    clones.discharge = start
    clones.status[:] = 1
    scene.add(clones, position)


def inflated_bill(scene: Scene, position: int, wanted: int) -> None:
    """Far above the tariff of its own INA-CBG; half the time the tariff field is raised along."""
    claims, rng = scene.claims, scene.rng
    stays = scene.choose(position, claims.inpatient, round(0.7 * wanted))
    rest = scene.choose(position, ~claims.inpatient, wanted - len(stays))
    rows = np.concatenate([stays, rest])
    factor = 1 + rng.uniform(0.12, 1.2, len(rows))
    claimed = np.minimum(np.round(claims.claimed[rows] * factor / 100) * 100, money.MOST).astype(np.int32)
    along = rng.random(len(rows)) < 0.5
    claims.tariff[rows[along]] += (claimed - claims.claimed[rows])[along]
    claims.claimed[rows] = claimed
    scene.mark(rows, position)


def fragmentation(scene: Scene, position: int, wanted: int) -> None:
    """What was one stay, or one visit, billed as several."""
    of_stays = _split_stays(scene, position, round((1 - _SPLIT_VISIT_SHARE) * wanted))
    _split_visits(scene, position, wanted - of_stays)


def _split_stays(scene: Scene, position: int, wanted: int) -> int:
    """One stay billed as two or three, each in full; every piece carries the label. Return how many there are."""
    claims, rng = scene.claims, scene.rng
    whole = max(round(wanted / 2.3), 1)
    if wanted < 2:
        return 0
    # The first piece is discharged early: it must not fall out of the window.
    inside = claims.admission >= scene.first_day
    rows = scene.choose(position, claims.inpatient & inside & (claims.los >= _LEAST_FOR_SPLIT), whole)
    scene.mark(rows, position)
    first = claims.take(rows)
    second = _split(rng, first)
    claims.discharge[rows] = first.discharge
    claims.status[rows] = 1
    long = np.flatnonzero(second.los >= 3)[: max(wanted - 2 * len(rows), 0)]
    part = second.take(long)
    third = _split(rng, part)
    second.discharge[long] = part.discharge
    later = second.append(third)
    away = rng.integers(0, 4, len(later)) * (rng.random(len(later)) < 0.5)
    away = np.minimum(away, scene.last_day - later.discharge).astype(np.int32)
    later.admission = later.admission + away
    later.discharge = later.discharge + away
    money.price(later, scene.providers)
    scene.add(later, position)
    return len(rows) + len(later)


def _split_visits(scene: Scene, position: int, wanted: int) -> None:
    """A visit's work-up billed one or two days later, as a visit in a group of its own, which carries the label."""
    claims, rng = scene.claims, scene.rng
    can = ~claims.inpatient & ~np.isin(claims.case, [*_SERIES, *_WORK_UPS]) & (claims.discharge <= scene.last_day - 2)
    later = claims.take(scene.choose(position, can, wanted))
    later.case = rng.choice(_WORK_UPS, len(later))
    later.group = case_group[later.case]
    later.procedures = case_procedures.items[later.case, 0]
    later.topups[:] = -1
    away = rng.integers(1, 3, len(later)).astype(np.int32)
    later.admission = later.admission + away
    later.discharge = later.discharge + away
    money.price(later, scene.providers)
    scene.add(later, position)


def unnecessary_topup(scene: Scene, position: int, wanted: int) -> None:
    """A special CMG that the case gives no reason for."""
    claims, rng = scene.claims, scene.rng
    rows = scene.choose(position, (claims.topups < 0).all(axis=1) & claims.inpatient, wanted)
    topup = clinical.draw_topups(rng, len(rows))
    claims.topups[rows, clinical.topup_slot[topup]] = topup
    _reprice(scene, rows)
    scene.mark(rows, position)


def _within(scene: Scene, day: Array) -> Array:
    return np.clip(day, scene.first_day, scene.last_day).astype(np.int32)


def _other_patients(rng: Rng, claims: Claims, clones: Claims) -> Array:
    """Patients with the same entitlement who came to the same provider; anybody's neighbour in that list."""
    key = claims.provider.astype(np.int64) * 4 + claims.ward
    order = np.argsort(key, kind="stable")
    wanted = clones.provider.astype(np.int64) * 4 + clones.ward
    low = np.searchsorted(key[order], wanted, side="left")
    high = np.searchsorted(key[order], wanted, side="right")
    found = clones.patient.copy()
    for _ in range(4):  # the same patient is drawn now and then: again
        same = found == clones.patient
        found[same] = claims.patient[order[rng.integers(low[same], high[same])]]
    same = found == clones.patient
    found[same] = claims.patient[rng.integers(0, len(claims), int(same.sum()))]
    return found


def _split(rng: Rng, first: Claims) -> Claims:
    """Cut stays in two with up to two days between; `first` is shortened in place, the second part returned."""
    second = first.take(np.arange(len(first)))
    los = first.los
    gap = np.minimum(rng.integers(0, 3, len(first)), los - 2)
    rest = los - gap
    cut = 1 + np.floor(rng.random(len(first)) * (rest - 1)).astype(np.int32)
    first.discharge = (first.admission + cut).astype(np.int32)
    second.admission = (first.discharge + gap).astype(np.int32)
    return second


PATTERNS: tuple[Callable[[Scene, int, int], None], ...] = (
    upcoding, phantom_billing, repeat_billing, cloned_claim, inflated_bill, fragmentation, unnecessary_topup,
)  # fmt: skip
if tuple(pattern.__name__ for pattern in PATTERNS) != FRAUD_TYPES:
    raise AssertionError("PATTERNS and FRAUD_TYPES differ")
