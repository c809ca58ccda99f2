"""The data date and the nightly ticks, in one place: the times of day are Jakarta's (WIB, UTC+7)."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

JAKARTA = ZoneInfo("Asia/Jakarta")
ETL_TIME = time(1, 0)
SCORING_TIME = time(2, 0)
ETL_CRON = f"{ETL_TIME.minute} {ETL_TIME.hour} * * *"
SCORING_CRON = f"{SCORING_TIME.minute} {SCORING_TIME.hour} * * *"
WATCHDOG_CRON = "*/5 * * * *"
TRAINING_CRON = "30 3 2 * *"  # once a month, when the night's scoring has ended


class DataDateError(ValueError):
    """A data date that no ETL can have been due for yet; the message names the latest one there is."""


def data_date_of(moment: datetime) -> date:
    """Return the Jakarta date of the latest ETL tick (01:00 WIB) at or before a moment.

    A run at 00:30 WIB therefore belongs to the day before: that night's ETL has not been due yet.

    Raises:
        ValueError: the moment has no timezone, so that it names no point in time.
    """
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no timezone")
    local = moment.astimezone(JAKARTA)
    return local.date() if local.time() >= ETL_TIME else date.fromordinal(local.date().toordinal() - 1)


def checked_data_date(data_date: date) -> date:
    """Return a data date, provided that its ETL tick has come.

    A release of a later data date is newer than that of every night until then, so none of them could go live.

    Raises:
        DataDateError: the data date lies in the future.
    """
    latest = data_date_of(now())
    if data_date > latest:
        raise DataDateError(
            f"Data date {data_date} lies in the future: its ETL is due at {etl_tick(data_date):%Y-%m-%d %H:%M} UTC, "
            f"the latest data date is {latest}. Correct it (YYYY-MM-DD), or leave it out."
        )
    return data_date


def etl_tick(data_date: date) -> datetime:
    """Return the moment (UTC) at which the ETL of a data date is due."""
    return datetime.combine(data_date, ETL_TIME, tzinfo=JAKARTA).astimezone(UTC)


def latest_due(deadline: time) -> date:
    """Return the latest data date whose scores should be live by now.

    Args:
        deadline: time of day (WIB) at which the scores of that day's data date must be live.
    """
    local = now().astimezone(JAKARTA)
    return local.date() if local.time() >= deadline else local.date() - timedelta(days=1)


def now() -> datetime:
    """Return the current moment in UTC."""
    return datetime.now(UTC)


def stamp(moment: datetime) -> str:
    """Return a moment as `YYYYMMDDTHHMMSSZ`, the form file names use."""
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
