"""Reads a release for one request: resolves which once, opens that one's own file, and closes it again.

Nothing is kept open between requests: the next one sees a switch, and no release is held on to. Opening costs some
milliseconds (docs/api.md).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import duckdb

from ml.release import Release, ReleaseError, ReleaseStore
from ml.release.tables import opened
from ml.sql import sql_text

log = logging.getLogger(__name__)

MEMORY_LIMIT = "512MB"
THREADS = 1
"""Of one request. More threads make no request quicker where several come at once."""

_PLACES = threading.BoundedSemaphore(4)
"""Requests that read at a time; the others wait. With 32 at a time the API took 1.4 GB at 1,176,438 claims."""


class NotReadableError(RuntimeError):
    """There is no release to read, or it cannot be read; the message says why and what to do."""


class NoReleaseError(NotReadableError):
    """No release is live."""


class NoSuchReleaseError(LookupError):
    """A reader asked for a release that is not there, or that is not to be read any more."""


def live_release(store: ReleaseStore) -> Release:
    """Return the release that readers see.

    Raises:
        NoReleaseError: none is live.
        NotReadableError: the live one is damaged.
    """
    try:
        release = store.live()
    except ReleaseError as error:
        raise NotReadableError(f"The live release cannot be read: {error}") from error
    if release is None:
        raise NoReleaseError("No release is live yet; the first nightly run makes one.")
    return release


def chosen_release(store: ReleaseStore, release_id: str | None) -> Release:
    """Return the live release, or the one of earlier pages while it is kept and has not been withdrawn.

    Raises:
        NotReadableError: as `live_release`.
        NoSuchReleaseError: it is not kept any more, or its QC has not passed.
    """
    release = live_release(store)
    if release_id is None or release_id == release.id:
        return release
    if store.qc_passed(release_id) is not True and release_id in store.ids():
        raise NoSuchReleaseError("release: withdrawn; begin again with page 1 and without `release`")
    return kept_release(store, release_id, "release")


def kept_release(store: ReleaseStore, release_id: str, parameter: str) -> Release:
    """Return a release that somebody has read, whatever became of it since.

    Raises:
        NoSuchReleaseError: it is not kept any more; the message names the parameter.
    """
    if release_id not in store.ids():  # an id is a folder's name: nothing else may become part of a path
        raise NoSuchReleaseError(f"{parameter}: this release is not kept any more; ask again without it")
    try:
        return store.get(release_id)
    except ReleaseError as error:
        log.error("%s", error)
        raise NoSuchReleaseError(f"{parameter}: this release cannot be read any more; ask again without it") from error


def read_new(
    release: Release, before: Release | None, min_risk: float, *queries: tuple[str, Mapping[str, Any]]
) -> list[list[dict[str, Any]]]:
    """Run statements that know what a release before has listed (table `listed_before`); see `read`."""
    with _opened(release) as connection:
        if before is None:
            connection.execute(sql_text("serving/listed_before_none.sql"))
        else:
            connection.execute("ATTACH $database AS before (READ_ONLY)", {"database": str(before.database)})
            connection.execute(sql_text("serving/listed_before.sql"), {"min_risk": min_risk})
        return [_rows(connection, statement, parameters) for statement, parameters in queries]


def read(release: Release, *queries: tuple[str, Mapping[str, Any]]) -> list[list[dict[str, Any]]]:
    """Run statements of include/sql/serving on one release; return each one's rows as dicts.

    Raises:
        NotReadableError: the file is not there, damaged, or of an earlier version without a column.
    """
    with _opened(release) as connection:
        return [_rows(connection, statement, parameters) for statement, parameters in queries]


@contextmanager
def _opened(release: Release) -> Iterator[duckdb.DuckDBPyConnection]:
    try:
        with _PLACES, opened(release.database, memory_limit=MEMORY_LIMIT, threads=THREADS) as connection:
            yield connection
    except duckdb.Error as error:
        raise NotReadableError(
            f"The release {release.id} cannot be read: {error}. `releases verify` tells whether it is damaged; one of "
            "an earlier version is replaced by the next refresh."
        ) from error


def _rows(connection: duckdb.DuckDBPyConnection, statement: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    result = connection.execute(sql_text(f"serving/{statement}.sql"), dict(parameters))
    names = [column[0] for column in result.description or ()]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]
