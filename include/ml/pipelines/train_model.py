"""`python -m ml.pipelines.train_model`: trains the forest on published claims and makes it the default model."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from ml.clock import DataDateError
from ml.nightly import train_default
from ml.pipelines.console import Verbose, failing_in_one_line, say
from ml.settings import SettingsError, load_settings


def main(
    data_date: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Jakarta date of the claims to train on. [default: the newest]"),
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Train a model. The same claims always give the same version."""
    with failing_in_one_line(SettingsError, DataDateError, verbose=verbose):
        settings = load_settings()
        model = train_default(settings, data_date.date() if data_date else None)
    say(f"{model.version}: trained on {model.training['rows']:,} claims of {model.training['data_date']}, now default")
    say(f"{settings.models / model.version}")


if __name__ == "__main__":
    typer.run(main)
