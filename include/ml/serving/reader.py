"""Reads a release for one request: resolves which once, opens that one's own file, and closes it again.

Nothing is kept open between requests: the next one sees a switch, and no release is held on to. Opening costs some
milliseconds (docs/api.md).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import duckdb
from pydantic import ValidationError

from ml.release import Release, ReleaseError, ReleaseStore
from ml.release.tables import opened
from ml.sql import sql_text

log = logging.getLogger(__name__)

MEMORY_LIMIT = "200MB"
THREADS = 1
"""Of one request. More threads make no request quicker where several come at once."""

PLACES = 4
"""Requests that read at a time; the others wait. With 32 at a time the API took 1.4 GB at 1,176,438 claims."""

PATIENCE_SECONDS = 15.0
"""How long after its arrival a request gets a place at the latest."""
_places = threading.BoundedSemaphore(PLACES)

Rows = list[dict[str, Any]]


class NotReadableError(RuntimeError):
    """The live release cannot be read; the message says why and what to do."""


class NoReleaseError(NotReadableError):
    """No release is live."""


class BusyError(RuntimeError):
    """Too many requests are being read."""


class TooManyClaimsError(ValueError):
    """A page so far down that MEMORY_LIMIT does not hold what stands before it."""


class NoSuchReleaseError(LookupError):
    """A reader named a release that is not there, or that is not to be read any more."""


def live_release(store: ReleaseStore) -> Release:
    """Return the release that readers see.

    Raises:
        NoReleaseError: none is live.
        NotReadableError: the live one's manifest is damaged, or the disk cannot be read.
    """
    try:
        release = store.live()
    except (ReleaseError, OSError) as error:
        raise NotReadableError(f"The live release cannot be read: {error}") from error
    if release is None:
        raise NoReleaseError("No release is live yet; the first nightly run makes one.")
    return release


def chosen_release(store: ReleaseStore, release_id: str | None) -> Release:
    """Return the live release, or the one of earlier pages while it is kept and readers were not taken off it.

    Raises:
        NotReadableError: as `live_release`.
        NoSuchReleaseError: it is not kept any more, or was withdrawn.
    """
    release = live_release(store)
    if release_id is None or release_id == release.id:
        return release
    kept = kept_release(store, release_id, "release")
    if store.withdrawn(release_id):
        raise NoSuchReleaseError("release: this release was withdrawn; ask again without it, a list from page 1 on")
    return kept


def kept_release(store: ReleaseStore, release_id: str, parameter: str) -> Release:
    """Return a release that somebody has read, whatever became of it since.

    Raises:
        NoSuchReleaseError: it is not kept any more; the message names the parameter.
    """
    if release_id not in store.ids():  # an id is a folder's name: nothing else may become part of a path
        raise NoSuchReleaseError(_gone(parameter))
    try:
        return store.get(release_id)
    except (ReleaseError, OSError) as error:
        log.warning("%s", error)
        raise NoSuchReleaseError(_gone(parameter)) from error


@contextmanager
def reading(store: ReleaseStore, release: Release, arrived: float, parameter: str = "release") -> Iterator[Ask]:
    """Open a release and hand out what runs a statement of include/sql/serving on it.

    Args:
        store: tells whether the release is the live one.
        release: what to read.
        arrived: when the request came, by `time.monotonic` in seconds: it may have waited for a thread as well.
        parameter: by which a caller named it, for the message when it is gone.

    Raises:
        NotReadableError: the live release's file is damaged, or of an earlier version without a column.
        NoSuchReleaseError: another release was collected meanwhile, or cannot be read.
        BusyError: no place became free in time.
        TooManyClaimsError: what was asked for takes more memory than a request may.
    """
    if not _places.acquire(timeout=max(0.0, arrived + PATIENCE_SECONDS - time.monotonic())):
        raise BusyError(f"{PLACES} requests are being read and others wait; try again.")
    try:
        with opened(release.database, memory_limit=MEMORY_LIMIT, threads=THREADS) as connection:
            yield Ask(connection)
    except duckdb.OutOfMemoryException as error:
        raise TooManyClaimsError(
            "page: too far down so long a list; ask for an earlier page, or narrow the filters (min_risk, ...)"
        ) from error
    except (duckdb.Error, ValidationError, OSError) as error:
        if store.live_id() != release.id:  # between its choice and now it may have been collected
            log.warning("%s: %s", release.id, error)
            raise NoSuchReleaseError(_gone(parameter)) from error
        raise NotReadableError(
            f"The release {release.id} cannot be read: {error}. `releases verify` tells whether it is damaged; one of "
            "an earlier version is replaced by the next refresh."
        ) from error
    finally:
        _places.release()


class Ask:
    """An open release."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def __call__(self, statement: str, /, **parameters: Any) -> Rows:
        """Run a statement and return its rows as dicts."""
        result = self._connection.execute(sql_text(f"serving/{statement}.sql"), parameters)
        names = [column[0] for column in result.description or ()]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def _gone(parameter: str) -> str:
    return f"{parameter}: this release is not kept any more, or cannot be read; ask again without it"
