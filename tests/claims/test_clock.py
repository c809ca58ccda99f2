"""The data date: the Jakarta date of the latest ETL tick (01:00 WIB = 18:00 UTC of the day before)."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.clock import data_date_of, etl_tick


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (datetime(2026, 11, 22, 18, 0, tzinfo=UTC), date(2026, 11, 23)),  # the ETL's own tick
        (datetime(2026, 11, 22, 19, 0, tzinfo=UTC), date(2026, 11, 23)),  # 02:00 WIB
        (datetime(2026, 11, 22, 17, 59, 59, tzinfo=UTC), date(2026, 11, 22)),  # 00:59:59 WIB: not due yet
        (datetime(2026, 11, 23, 0, 0, tzinfo=UTC), date(2026, 11, 23)),  # UTC midnight
        (datetime(2026, 11, 22, 23, 59, 59, tzinfo=UTC), date(2026, 11, 23)),
        (datetime(2026, 11, 30, 17, 59, 59, tzinfo=UTC), date(2026, 11, 30)),  # the end of a month
        (datetime(2026, 11, 30, 18, 0, tzinfo=UTC), date(2026, 12, 1)),
        (datetime(2026, 12, 31, 19, 0, tzinfo=UTC), date(2027, 1, 1)),
        (datetime(2027, 2, 28, 19, 0, tzinfo=UTC), date(2027, 3, 1)),
        (datetime(2028, 2, 28, 19, 0, tzinfo=UTC), date(2028, 2, 29)),
        (datetime(2028, 2, 29, 18, 0, tzinfo=UTC), date(2028, 3, 1)),
        (datetime(2026, 11, 22, 10, 0, tzinfo=timezone(timedelta(hours=-9))), date(2026, 11, 23)),
    ],
)
def test_data_date(moment: datetime, expected: date) -> None:
    assert data_date_of(moment) == expected


MOMENTS = st.datetimes(min_value=datetime(2014, 1, 1), max_value=datetime(2099, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(MOMENTS)
def test_the_tick_of_a_moments_data_date_is_the_latest_one(moment: datetime) -> None:
    tick = etl_tick(data_date_of(moment))
    assert tick <= moment < tick + timedelta(days=1)


@given(MOMENTS, st.integers(-14 * 60, 14 * 60))
def test_the_data_date_does_not_depend_on_the_zone_a_moment_is_told_in(moment: datetime, minutes: int) -> None:
    elsewhere = moment.astimezone(timezone(timedelta(minutes=minutes)))
    assert data_date_of(elsewhere) == data_date_of(moment)


@given(st.dates(date(2014, 1, 1), date(2099, 1, 1)))
def test_both_ticks_of_a_night_belong_to_its_data_date(day: date) -> None:
    etl = etl_tick(day)
    assert data_date_of(etl) == data_date_of(etl + timedelta(hours=1)) == day
    assert data_date_of(etl - timedelta(microseconds=1)) == day - timedelta(days=1)
    assert etl_tick(day + timedelta(days=1)) - etl == timedelta(days=1)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Jakarta", "America/Los_Angeles", "Pacific/Kiritimati", "Etc/GMT+12"])
def test_the_data_date_does_not_depend_on_the_clock_of_the_host(zone: str) -> None:
    """On each side of 01:00 WIB, at a year's end; in a process of its own, which reads TZ at its start."""
    code = """
import time
from datetime import UTC, datetime, timedelta
from ml import clock
tick = datetime(2026, 12, 31, 18, 0, tzinfo=UTC)
for moment in (tick - timedelta(seconds=1), tick):
    clock.now = lambda: moment.astimezone()  # in the host's zone
    print(clock.data_date_of(clock.now()), clock.checked_data_date(clock.data_date_of(moment)), clock.stamp(moment))
print(time.timezone)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"TZ": zone}, capture_output=True, text=True, check=True
    )
    *told, offset = done.stdout.splitlines()
    assert told == ["2026-12-31 2026-12-31 20261231T175959Z", "2027-01-01 2027-01-01 20261231T180000Z"]
    offsets = {"UTC": 0, "Asia/Jakarta": -7, "America/Los_Angeles": 8, "Pacific/Kiritimati": -14, "Etc/GMT+12": 12}
    assert int(offset) == offsets[zone] * 3600, "the process did not take the zone"


def test_a_moment_without_timezone_is_refused() -> None:
    with pytest.raises(ValueError, match="timezone"):
        data_date_of(datetime(2026, 1, 1))  # noqa: DTZ001
