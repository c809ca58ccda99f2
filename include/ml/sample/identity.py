"""Claim ids and referral ids, made as text without a Python object a row."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml.sample.sampling import Array, Rng

SERIALS = 1_000_000


def months(day: Array) -> Array:
    """Months since 1970-01 of days counted from 1970-01-01."""
    return day.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)


def claim_ids(rng: Rng, facility: Array, admission: Array) -> pa.Array:
    """Number the claims: facility, month of admission (MMYY), `V`, and a serial that grows with the day.

    Raises:
        ValueError: a facility has a million claims or more in one month.
    """
    month = months(admission)
    order = np.lexsort((rng.random(len(facility)), admission, month, facility))
    key = facility[order].astype(np.int64) * 100_000 + month[order]
    first = np.flatnonzero(np.diff(key, prepend=-1))
    length = np.diff(np.append(first, len(key)))
    most = int(length.max())
    if most >= SERIALS:
        raise ValueError(f"a facility has {most} claims in one month, more than six digits can number")
    # A sample shows some of a facility's visits only, so serials have gaps.
    step = rng.integers(1, max(min(60, (SERIALS - 1) // most), 1) + 1, len(key))
    total = np.cumsum(step)
    serial = np.empty(len(key), dtype=np.int64)
    serial[order] = total - np.repeat(total[first] - step[first], length)
    return _join(facility, month, "V", serial)


def referral_ids(primary_care: Array, month: Array, serial: Array, present: Array) -> pa.Array:
    """Number the primary-care visits that referred the patients; null where there was none."""
    text = _join(primary_care, month, "P", serial % SERIALS)
    return pc.if_else(pa.array(present), text, pa.scalar(None, pa.string()))


def _join(prefix: Array, month: Array, letter: str, serial: Array) -> pa.Array:
    low, high = int(month.min()), int(month.max())
    names = pa.array([f"{m % 12 + 1:02d}{(1970 + m // 12) % 100:02d}{letter}" for m in range(low, high + 1)])
    middle = names.take(pa.array(month - low))
    end = pc.utf8_lpad(pc.cast(pa.array(serial), pa.string()), 6, "0")
    return pc.binary_join_element_wise(pc.cast(pa.array(prefix), pa.string()), middle, end, "")
