"""How the commands speak: results on standard output, errors on standard error with exit code 1."""

from __future__ import annotations

import sys
from typing import NoReturn

import typer


def say(text: str) -> None:
    """Print a line of the result."""
    typer.echo(text)


def fail(error: Exception | str) -> NoReturn:
    """Print an error and end the command with exit code 1."""
    typer.secho(f"ERROR: {error}", fg=typer.colors.RED, err=True)
    sys.exit(1)
