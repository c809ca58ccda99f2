"""Where providers stand: provinces with their population, regencies and tariff region."""

from __future__ import annotations

from dataclasses import dataclass

# BPS province code: population (millions), regencies (kabupaten), cities (kota), INA-CBG tariff region 1..5.
_TABLE: dict[int, tuple[float, int, int, int]] = {
    11: (5.3, 18, 5, 3), 12: (14.9, 25, 8, 3), 13: (5.6, 12, 7, 2), 14: (6.5, 10, 2, 2), 15: (3.6, 9, 2, 3),
    16: (8.6, 13, 4, 2), 17: (2.0, 9, 1, 3), 18: (9.1, 13, 2, 2), 19: (1.5, 6, 1, 3), 21: (2.1, 5, 2, 3),
    31: (10.6, 1, 5, 1), 32: (48.8, 18, 9, 1), 33: (36.8, 29, 6, 1), 34: (3.7, 4, 1, 1), 35: (41.0, 29, 9, 1),
    36: (12.1, 4, 4, 1), 51: (4.4, 8, 1, 2), 52: (5.4, 8, 2, 2), 53: (5.4, 21, 1, 5), 61: (5.5, 12, 2, 3),
    62: (2.7, 13, 1, 4), 63: (4.1, 11, 2, 4), 64: (3.8, 7, 3, 4), 65: (0.7, 4, 1, 4), 71: (2.6, 11, 4, 3),
    72: (3.0, 12, 1, 3), 73: (9.1, 21, 3, 3), 74: (2.7, 15, 2, 3), 75: (1.2, 5, 1, 3), 76: (1.4, 6, 0, 3),
    81: (1.9, 9, 2, 5), 82: (1.3, 8, 2, 5), 91: (1.2, 12, 1, 5), 94: (4.4, 28, 1, 5),
}  # fmt: skip


@dataclass(frozen=True)
class Province:
    """A province; `regencies` are BPS codes, 01.. for regencies and 71.. for cities."""

    code: int
    population: float
    tariff_region: int
    regencies: tuple[int, ...]
    regency_weights: tuple[float, ...]


def _province(code: int, population: float, kabupaten: int, kota: int, region: int) -> Province:
    ends = [*range(1, kabupaten + 1), *range(71, 71 + kota)]
    # Hospitals gather in the cities.
    return Province(
        code,
        population,
        region,
        tuple(code * 100 + end for end in ends),
        tuple(3.0 if end > 70 else 1.0 for end in ends),
    )


PROVINCES: tuple[Province, ...] = tuple(_province(code, *row) for code, row in _TABLE.items())
