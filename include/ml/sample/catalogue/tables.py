"""The catalogue as arrays, indexed by the position of a case, a diagnosis or an INA-CBG group."""

from __future__ import annotations

from itertools import product

import numpy as np

from ml.sample.catalogue import groups, topups
from ml.sample.catalogue.diagnoses import DIAGNOSES, INDEX, POOLS
from ml.sample.catalogue.inpatient import INPATIENT
from ml.sample.catalogue.model import Case, weights
from ml.sample.catalogue.outpatient import OUTPATIENT
from ml.sample.catalogue.procedures import PROCEDURES
from ml.sample.sampling import Array

CASES: tuple[Case, ...] = (*OUTPATIENT, *INPATIENT)
CASE_INDEX: dict[str, int] = {case.name: number for number, case in enumerate(CASES)}
POOL_NAMES: tuple[str, ...] = tuple(POOLS)

case_group: Array = np.array([groups.INDEX[case.stem] for case in CASES])
case_outpatient: Array = np.array([case.outpatient for case in CASES])
case_pool: Array = np.array([POOL_NAMES.index(case.pool) for case in CASES])
case_poly: Array = np.array([case.poly for case in CASES])
diagnosis_cc: Array = np.array([diagnosis.cc for diagnosis in DIAGNOSES])


class Weighted:
    """Rows of (item, weight) pairs of different length, ready for `GroupedChoice` and for looking the item up."""

    def __init__(self, rows: list[dict[int, float]]) -> None:
        self.weights: list[list[float]] = [list(row.values()) for row in rows]
        widest = max(len(row) for row in rows)
        self.items: Array = np.array([list(row) + [-1] * (widest - len(row)) for row in rows])


def _diagnoses(text: str) -> dict[int, float]:
    return {INDEX[code]: weight for code, weight in weights(text).items()}


case_diagnoses = Weighted([_diagnoses(case.diagnoses) for case in CASES])
pool_diagnoses = Weighted([_diagnoses(text) for text in POOLS.values()])


def _procedure_variants(case: Case, texts: dict[str, int]) -> dict[int, float]:
    """Every subset of a case's procedures with its probability, each done independently of the others."""
    parts = weights(case.procedures)
    found: dict[int, float] = {}
    for done in product((True, False), repeat=len(parts)):
        chance = float(np.prod([p if yes else 1 - p for yes, p in zip(done, parts.values(), strict=True)]))
        if chance > 0:
            text = ";".join(PROCEDURES[code] for code, yes in zip(parts, done, strict=True) if yes)
            found[texts.setdefault(text, len(texts))] = chance
    return found


_texts: dict[str, int] = {"": 0}
case_procedures = Weighted([_procedure_variants(case, _texts) for case in CASES])
PROCEDURE_TEXTS: tuple[str, ...] = tuple(_texts)
"""What FKL30 may show; the first is none."""

case_topups: list[tuple[int, int, float]] = [  # case, top-up, chance
    (number, topups.INDEX[code], chance) for number, case in enumerate(CASES) for code, chance in case.topups.items()
]
