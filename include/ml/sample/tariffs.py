"""The tariff table: (INA-CBG code, facility class, ward class, tariff region) -> rupiah."""

from __future__ import annotations

import numpy as np

from ml.sample.catalogue.groups import GROUPS
from ml.sample.sampling import Array

# Factor on the base tariff (government class C, region 1, ward class 3), by facility class 1..27.
_OUTPATIENT_CLASS = {1: 1.42, 2: 1.14, 3: 1.0, 4: 0.962}
_INPATIENT_CLASS = {1: 1.68, 2: 1.20, 3: 1.0, 4: 0.79}
_OUTPATIENT_PRIVATE = 1.0446
_INPATIENT_PRIVATE = 1.03
_LIKE = {5: 1, 6: 2, 7: 3, 8: 4, 9: 1, 10: 2, 11: 3, 12: 4}  # facility class -> government class of the same rank
_SPECIAL_LIKE = 2  # a special hospital is paid like class B ...
_SMALL_SPECIAL = {16: 3, 20: 3, 26: 3, 27: 4, 13: 3}  # ... unless small
_CLINIC_OUTPATIENT = 0.90
_REGION_OUTPATIENT = (1.0, 1.0, 1.0, 1.014, 1.031)
_REGION_INPATIENT = (1.0, 1.012, 1.021, 1.034, 1.058)
_WARD_INPATIENT = (1.4, 1.2, 1.0)  # ward class 1, 2, 3


def _class_factor(facility_class: int, outpatient: bool) -> float:
    if facility_class == 25:
        return _CLINIC_OUTPATIENT if outpatient else _INPATIENT_CLASS[4]
    table = _OUTPATIENT_CLASS if outpatient else _INPATIENT_CLASS
    if facility_class in table:
        return table[facility_class]
    if facility_class in (5, 6, 7, 8):
        return table[_LIKE[facility_class]] * (_OUTPATIENT_PRIVATE if outpatient else _INPATIENT_PRIVATE)
    return table[_LIKE.get(facility_class, _SMALL_SPECIAL.get(facility_class, _SPECIAL_LIKE))]


def tariff_table() -> Array:
    """Return the table as groups x severity 0..3 x facility class 0..27 x ward class 0..3 x region 0..5.

    Codes index it directly (position 0 of class, ward and region is unused). Rupiah, whole hundreds; 0 where
    a group has no such severity.
    """
    table = np.zeros((len(GROUPS), 4, 28, 4, 6), dtype=np.int32)
    for number, group in enumerate(GROUPS):
        out = group.outpatient
        region = np.array(_REGION_OUTPATIENT if out else _REGION_INPATIENT)
        ward = np.array((1.0, 1.0, 1.0) if out else _WARD_INPATIENT)
        by_class = np.array([_class_factor(code, out) for code in range(1, 28)])
        factor = by_class[:, None, None] * ward[:, None] * region
        for step, base in enumerate(group.tariffs):
            table[number, step if out else step + 1, 1:, 1:, 1:] = np.round(base * factor / 100) * 100
    return table
