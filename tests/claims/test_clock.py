"""The data date: the Jakarta date of the latest ETL tick (01:00 WIB = 18:00 UTC of the day before)."""

from __future__ import annotations

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
        (datetime(2026, 12, 31, 19, 0, tzinfo=UTC), date(2027, 1, 1)),
        (datetime(2028, 2, 28, 19, 0, tzinfo=UTC), date(2028, 2, 29)),
        (datetime(2026, 11, 22, 10, 0, tzinfo=timezone(timedelta(hours=-9))), date(2026, 11, 23)),
    ],
)
def test_data_date(moment: datetime, expected: date) -> None:
    assert data_date_of(moment) == expected


@given(st.datetimes(min_value=datetime(2014, 1, 1), max_value=datetime(2099, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_the_tick_of_a_moments_data_date_is_the_latest_one(moment: datetime) -> None:
    tick = etl_tick(data_date_of(moment))
    assert tick <= moment < tick + timedelta(days=1)


def test_a_moment_without_timezone_is_refused() -> None:
    with pytest.raises(ValueError, match="timezone"):
        data_date_of(datetime(2026, 1, 1))  # noqa: DTZ001
