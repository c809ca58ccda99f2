"""What happens in a visit: comorbidities, severity, length of stay, procedures, top-ups, and how it ends."""

from __future__ import annotations

import numpy as np

from ml.sample.catalogue.model import weights
from ml.sample.catalogue.tables import (
    CASES,
    case_diagnoses,
    case_group,
    case_outpatient,
    case_pool,
    case_procedures,
    case_topups,
    diagnosis_cc,
    pool_diagnoses,
)
from ml.sample.catalogue.topups import INDEX as TOPUP_INDEX
from ml.sample.catalogue.topups import TOPUPS
from ml.sample.claims import MOST_SECONDARY, Claims
from ml.sample.config import WINDOW_DAYS
from ml.sample.courses import Visits
from ml.sample.overlap import untangle
from ml.sample.patients import HISTORY, KINDS
from ml.sample.providers import Providers
from ml.sample.sampling import Array, GroupedChoice, Rng

LONGEST_STAY = 314
_OUTPATIENT_COUNTS = (0.162, 0.618, 0.169, 0.051)  # secondary diagnoses of an outpatient claim: 0, 1, 2, 3
_INPATIENT_MEAN = 2.9  # secondary diagnoses of a stay, before frailty
_NONE_WRITTEN = 0.15  # stays for which nobody writes any
_HISTORY_CHANCE = 0.35
_LOS_BY_SEVERITY = np.array([0.0, 1.0, 1.45, 2.1])
_EARLY_END = 0.045  # death, transfer or leaving against advice: short, and paid in full
_TOPUP_ANY = (0.0, 0.0015, 0.008, 0.02)  # by severity: a special CMG that the case alone does not explain
_COMMON_TOPUPS = weights("DD-05-II:4 II-01-II:3 II-03-II:2 II-04-II:2 DD-07-II YY-14-II RR-05-II SF-4-10-I")
_SUB_ACUTE_FROM = 30  # days
_HOME, _REFERRED, _AGAINST_ADVICE, _DEAD = 1, 2, 3, 4

_frailty = np.array([kind.frailty for kind in KINDS.values()])
_los = np.array([case.los for case in CASES])
_spread = np.array([case.spread for case in CASES])
_secondary = GroupedChoice(pool_diagnoses.weights)
_procedures = GroupedChoice(case_procedures.weights)
_common_topups = np.array([TOPUP_INDEX[code] for code in _COMMON_TOPUPS])
_topups = GroupedChoice([list(_COMMON_TOPUPS.values())])
SUB_ACUTE = TOPUP_INDEX["SF-4-10-I"]
topup_slot: Array = np.array([topup.slot for topup in TOPUPS])


def treat(rng: Rng, visits: Visits, providers: Providers, first_day: int) -> Claims:
    """Turn planned visits into claims, all but the money."""
    claims = Claims.empty(len(visits.case))
    claims.case[:] = visits.case
    claims.patient[:] = visits.patient
    claims.provider[:] = visits.provider
    claims.group[:] = case_group[visits.case]
    claims.diagnosis[:] = visits.diagnosis
    claims.ward[:] = visits.patients.ward[visits.patient]
    kind = visits.patients.kind[visits.patient]
    inpatient = ~case_outpatient[visits.case]

    claims.secondary = _secondaries(rng, claims, kind, inpatient, providers)
    claims.severity[:] = np.where(inpatient, severity_of(claims.secondary), 0)
    claims.procedures[:] = draw_procedures(rng, visits.case)
    claims.discharge[:] = first_day + visits.day
    los, early = _stays(rng, claims, inpatient, providers)
    claims.admission[:] = claims.discharge - los
    untangle(claims, first_day + WINDOW_DAYS - 1)
    _add_topups(rng, claims)
    claims.status[:] = _status(rng, claims, early)
    other = GroupedChoice(case_diagnoses.weights).draw(rng, visits.case)
    same = rng.random(len(claims)) < np.where(inpatient, 0.75, 0.97)
    claims.admitted_as[:] = np.where(same, claims.diagnosis, case_diagnoses.items[visits.case, other])
    return claims


def severity_of(secondary: Array) -> Array:
    """The severity 1..3 that the grouper gives a stay: one more than its heaviest comorbidity."""
    severity: Array = np.where(secondary >= 0, diagnosis_cc[secondary], 0).max(axis=1) + 1
    return severity


def draw_procedures(rng: Rng, case: Array) -> Array:
    """Draw what is done, as positions in PROCEDURE_TEXTS."""
    return case_procedures.items[case, _procedures.draw(rng, case)]


def draw_topups(rng: Rng, count: int) -> Array:
    """Draw special CMGs that are written beside many cases, as positions in TOPUPS."""
    return _common_topups[_topups.draw(rng, np.zeros(count, dtype=np.int64))]


def draw_secondaries(rng: Rng, case: Array, count: Array) -> Array:
    """Draw secondary diagnoses for claims: n x 6, packed to the left, without repeats."""
    drawn = np.full((len(case), MOST_SECONDARY), -1, dtype=np.int16)
    pool = case_pool[case]
    for place in range(MOST_SECONDARY):
        rows = np.flatnonzero(count > place)
        if len(rows):
            drawn[rows, place] = pool_diagnoses.items[pool[rows], _secondary.draw(rng, pool[rows])]
    return drawn


def tidy(secondary: Array, primary: Array) -> Array:
    """Drop repeats and the primary diagnosis from secondary diagnoses, and pack them to the left."""
    out = secondary.copy()
    for place in range(MOST_SECONDARY):
        again = out[:, place] == primary
        for earlier in range(place):
            again |= out[:, place] == out[:, earlier]
        out[again, place] = -1
    order = np.argsort(out < 0, axis=1, kind="stable")
    return np.take_along_axis(out, order, axis=1)


def _secondaries(rng: Rng, claims: Claims, kind: Array, inpatient: Array, providers: Providers) -> Array:
    rows = len(claims)
    mean = _INPATIENT_MEAN * _frailty[kind] * providers.frailty[claims.provider]
    stay = np.where(rng.random(rows) < _NONE_WRITTEN, 0, rng.poisson(mean))
    visit = np.searchsorted(np.cumsum(_OUTPATIENT_COUNTS), rng.random(rows))
    count = np.minimum(np.where(inpatient, stay, visit), MOST_SECONDARY)
    drawn = draw_secondaries(rng, claims.case, count)
    for place in range(2):  # the patient's own history, where there is room for it
        own = np.array([codes[place] if len(codes) > place else -1 for codes in HISTORY])[kind]
        mask = (own >= 0) & inpatient & (count > place) & (rng.random(rows) < _HISTORY_CHANCE)
        drawn[mask, place] = own[mask]
    return tidy(drawn, claims.diagnosis)


def _stays(rng: Rng, claims: Claims, inpatient: Array, providers: Providers) -> tuple[Array, Array]:
    """Return length of stay, and which stays ended early."""
    median = _los[claims.case] * _LOS_BY_SEVERITY[claims.severity] * providers.pace[claims.provider]
    drawn = median * np.exp(rng.normal(0, 1, len(claims)) * _spread[claims.case])
    # Rehabilitation and prolonged weaning: rare stays of months.
    drawn = np.where(rng.random(len(claims)) < 0.0004, drawn * rng.uniform(5, 20, len(claims)), drawn)
    los = np.clip(np.round(drawn), 1, LONGEST_STAY).astype(np.int64)
    early = inpatient & (rng.random(len(claims)) < _EARLY_END)
    los = np.where(early, np.minimum(los, rng.integers(0, 3, len(claims))), los)
    return np.where(inpatient, los, 0), early


def _status(rng: Rng, claims: Claims, early: Array) -> Array:
    """How the visit ended; only a patient's last visit can end with death."""
    status = np.full(len(claims), _HOME)
    point = rng.random(len(claims))
    status[early] = np.array([_DEAD, _REFERRED, _AGAINST_ADVICE])[np.searchsorted([0.4, 0.75], point[early])]
    heavy = ~early & (claims.severity == 3)
    status[heavy & (point < 0.12)] = _DEAD
    last = np.zeros(int(claims.patient.max()) + 1, dtype=np.int64)
    np.maximum.at(last, claims.patient, claims.discharge)
    lives_on = claims.discharge < last[claims.patient]
    status[(status == _DEAD) & lives_on] = _REFERRED
    return status


def _add_topups(rng: Rng, claims: Claims) -> None:
    """Give stays the special CMGs they honestly need: those of their case, and now and then another."""
    needs = rng.random(len(claims)) < np.array(_TOPUP_ANY)[claims.severity]
    rows = np.flatnonzero(needs)
    drawn = draw_topups(rng, len(rows))
    claims.topups[rows, topup_slot[drawn]] = drawn
    long = np.flatnonzero(claims.los >= _SUB_ACUTE_FROM)
    long = long[rng.random(len(long)) < 0.5]
    claims.topups[long, TOPUPS[SUB_ACUTE].slot] = SUB_ACUTE
    for case, topup, chance in case_topups:
        rows = np.flatnonzero(claims.case == case)
        rows = rows[rng.random(len(rows)) < chance]
        claims.topups[rows, TOPUPS[topup].slot] = topup
