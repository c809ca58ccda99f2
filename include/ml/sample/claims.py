"""The claims while they are being made: one NumPy array a field, one row a claim."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from ml.sample.catalogue.topups import SLOTS
from ml.sample.sampling import Array

MOST_SECONDARY = 6


@dataclass
class Claims:
    """Struct of arrays. Codes are positions in the catalogue; days are counted from 1970-01-01; -1 is none."""

    patient: Array
    provider: Array
    case: Array
    group: Array  # INA-CBG
    severity: Array  # 0 outpatient, 1..3 for I..III
    admission: Array
    discharge: Array
    ward: Array  # entitled ward class 1..3
    diagnosis: Array
    admitted_as: Array  # admission diagnosis
    procedures: Array  # position in the list of procedure texts
    secondary: Array  # n x 6 diagnoses, packed to the left
    topups: Array  # n x 5 slots, positions in TOPUPS
    status: Array  # discharge status
    tariff: Array
    claimed: Array
    fraud: Array  # 0 honest, else 1 + position in FRAUD_TYPES

    def __len__(self) -> int:
        return len(self.patient)

    @classmethod
    def empty(cls, rows: int) -> Self:
        """Make honest claims with nothing filled in."""
        wide = {"secondary": (MOST_SECONDARY, np.int16), "topups": (SLOTS, np.int8)}
        narrow = {"ward": np.int8, "severity": np.int8, "status": np.int8, "fraud": np.int8, "case": np.int16,
                  "group": np.int16, "diagnosis": np.int16, "admitted_as": np.int16}  # fmt: skip
        made: dict[str, Array] = {}
        for item in fields(cls):
            if item.name in wide:
                width, kind = wide[item.name]
                made[item.name] = np.full((rows, width), -1, dtype=kind)
            else:
                made[item.name] = np.zeros(rows, dtype=narrow.get(item.name, np.int32))
        return cls(**made)

    def take(self, rows: Array) -> Self:
        """Return copies of rows (positions or a mask)."""
        return type(self)(**{item.name: getattr(self, item.name)[rows] for item in fields(self)})

    def append(self, *others: Self) -> Self:
        """Return these rows with others below."""
        return type(self)(
            **{
                item.name: np.concatenate([getattr(part, item.name) for part in (self, *others)])
                for item in fields(self)
            }
        )

    @property
    def inpatient(self) -> Array:
        """Mask of the RITL claims."""
        return self.severity > 0

    @property
    def los(self) -> Array:
        """Length of stay in days."""
        return self.discharge - self.admission
