"""How the commands speak: results on standard output, errors on standard error with exit code 1."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Annotated, NoReturn

import duckdb
import filelock
import typer

log = logging.getLogger(__name__)

Verbose = Annotated[bool, typer.Option("--verbose", help="Show where in the program an error comes from.")]


def say(text: str) -> None:
    """Print a line of the result."""
    typer.echo(text)


def fail(error: BaseException | str, code: int = 1) -> NoReturn:
    """Print an error and end the command with an exit code."""
    typer.secho(f"ERROR: {error}", fg=typer.colors.RED, err=True)
    sys.exit(code)


def log_to_stderr(*, verbose: bool) -> None:
    """Show what the steps log: progress and warnings; with `verbose` where an error comes from, too."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("ml").setLevel(logging.DEBUG if verbose else logging.INFO)


@contextmanager
def failing_in_one_line(*expected: type[Exception], verbose: bool) -> Iterator[None]:
    """End the command with one line for the errors a user can do something about: no traceback unless `verbose`.

    Besides the expected ones these are the file system's, DuckDB's, a lock that was not free, and our own.
    """
    log_to_stderr(verbose=verbose)
    errors: tuple[type[Exception], ...] = (*expected, OSError, RuntimeError, duckdb.Error, filelock.Timeout)
    try:
        yield
    except errors as error:
        log.debug("the error comes from here", exc_info=True)
        fail(error)


@contextmanager
def clearing_up_when_ended() -> Iterator[None]:
    """End by an exception on SIGTERM or SIGHUP (a closed terminal), so that temporary folders are removed."""

    def end(number: int, _frame: FrameType | None) -> NoReturn:
        signal.signal(number, signal.SIG_IGN)  # a second one would interrupt the clearing up
        sys.exit(128 + number)

    # One that is ignored (nohup) stays so.
    ours = [each for each in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(each) is signal.SIG_DFL]
    for each in ours:
        signal.signal(each, end)
    try:
        yield
    finally:
        for each in ours:
            signal.signal(each, signal.SIG_DFL)
