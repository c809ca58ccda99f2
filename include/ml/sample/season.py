"""When things happen: seasons over the year and the week's rhythm."""

from __future__ import annotations

import numpy as np

from ml.sample.config import WINDOW_DAYS, GeneratorConfig
from ml.sample.sampling import Array, GroupedChoice, Rng

SEASONS = ("flat", "rain", "dengue")
# Day of the year of the peak, and relative height: the wet season brings airway and gut infections, its end dengue.
_PEAKS = {"flat": (0, 0.0), "rain": (20, 0.35), "dengue": (75, 0.65)}
_INPATIENT_WEEK = (1.05, 1.06, 1.04, 1.04, 1.06, 1.02, 0.73)  # discharges, Monday first
_FROM_WEEKEND = ((-1, -2, -3, 2, 3, 4), (1, 2, 3, 4, -2, -3))  # from a Saturday, from a Sunday, in days
_MONTH_DAYS = 365.25 / 12


def first_day_number(config: GeneratorConfig) -> int:
    """The window's first day, counted from 1970-01-01."""
    return int(np.datetime64(config.first_day, "D").astype(int))


def weekday(day: Array) -> Array:
    """Weekday (0 = Monday) of days counted from 1970-01-01, which was a Thursday."""
    return (day + 3) % 7


class Calendar:
    """Draws days of the window, as positions 0..364."""

    def __init__(self, config: GeneratorConfig) -> None:
        self.first = first_day_number(config)
        days = np.arange(WINDOW_DAYS)
        self._weekday = weekday(self.first + days)
        start = np.datetime64(config.first_day, "D")
        of_year = (start + days - (start + days).astype("datetime64[Y]")).astype(int)
        profiles = []
        for name in SEASONS:
            peak, height = _PEAKS[name]
            angle = 2 * np.pi * (of_year - peak - config.seasonal_shift * _MONTH_DAYS) / 365.25
            season = 1 + height * np.cos(angle)
            profiles.append(season * np.array(_INPATIENT_WEEK)[self._weekday])
        self._choice = GroupedChoice(profiles)
        self.open_days: Array = np.flatnonzero(self._weekday < 5)  # polyclinics: Monday to Friday

    def draw(self, rng: Rng, season: Array) -> Array:
        """Draw a day for each row by its season (position in SEASONS)."""
        return self._choice.draw(rng, season)

    def to_open_day(self, rng: Rng, day: Array) -> Array:
        """Move most weekend days to a neighbouring polyclinic day; emergencies and Saturday clinics stay."""
        today = self._weekday[day]
        stays = rng.random(len(day)) < np.where(today == 5, 0.35, np.where(today == 6, 0.10, 1.0))
        shift = np.array(_FROM_WEEKEND)[np.where(today == 5, 0, 1), rng.integers(0, len(_FROM_WEEKEND[0]), len(day))]
        return np.where(stays, day, (day + shift) % WINDOW_DAYS)
