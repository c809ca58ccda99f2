"""The local Airflow and the API beside it: what `make run`, `make up`, `make api` and `make down` call."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import typer
from rich.console import Console

from ml.settings import SettingsError
from ops.local_airflow import claims_api, commands
from ops.local_airflow.client import ApiError
from ops.local_airflow.drive import RunFailedError
from ops.local_airflow.metadata_store import StoreError
from ops.local_airflow.sample import SampleError
from ops.local_airflow.stack import StackError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
_EXPECTED = (ApiError, RunFailedError, SampleError, SettingsError, StackError, StoreError, TimeoutError, ValueError)


class _Signalled(BaseException):
    """A signal asked this process to end; raised once, in the main thread, so that everything is stopped on the way."""

    def __init__(self, number: int) -> None:
        self.number = number


@contextmanager
def _foreground() -> Iterator[commands.Terminal]:
    """Turn expected errors and signals into a message and an exit code; a second signal does not cut the stopping."""
    terminal = commands.Terminal(Console(highlight=False), time.monotonic())
    stopping = False

    def asked(number: int, frame: FrameType | None) -> None:
        nonlocal stopping
        if not stopping:
            stopping = True
            raise _Signalled(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, asked)
    try:
        yield terminal
    except _EXPECTED as error:
        terminal.console.print(str(error), style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1) from None
    except _Signalled as signalled:
        terminal.console.print("Stopped.")
        sys.exit(128 + signalled.number)


@app.command()
def run() -> None:
    """Run tonight's ETL and scoring through Airflow and print the report."""
    with _foreground() as terminal:
        commands.run(terminal, commands.project(os.environ))


@app.command()
def up() -> None:
    """Run Airflow with its UI and all schedules in the foreground, until Ctrl-C or `down`."""
    with _foreground() as terminal:
        commands.up(terminal, commands.project(os.environ))


@app.command()
def api() -> None:
    """Serve the live release to auditors, until Ctrl-C."""
    with _foreground() as terminal:
        claims_api.api(terminal.console, commands.project(os.environ))


@app.command()
def down() -> None:
    """Stop everything, also what a killed `run` or `up` left behind."""
    with _foreground() as terminal:
        commands.down(terminal, commands.project(os.environ))


@app.command()
def status() -> None:
    """Say what is running; exit code 3 when nothing is."""
    with _foreground() as terminal:
        running = commands.status(terminal, commands.project(os.environ))
    raise typer.Exit(0 if running else 3)


@app.command()
def sample() -> None:
    """Generate the sample claims, unless they are there."""
    with _foreground() as terminal:
        commands.sample(terminal, commands.project(os.environ))


@app.command()
def clean() -> None:
    """Stop everything and remove the stack's state: metadata, logs, secrets. Claims and releases stay."""
    with _foreground() as terminal:
        commands.clean(terminal, commands.project(os.environ))


if __name__ == "__main__":
    app()
