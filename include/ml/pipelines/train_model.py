"""`python -m ml.pipelines.train_model`: trains the forest on published claims and makes it the default model."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from ml.claims.etl import NoClaimsError
from ml.model.artefact import ModelError
from ml.nightly import train_default
from ml.pipelines.console import fail, say
from ml.settings import SettingsError, load_settings


def main(
    data_date: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Jakarta date of the claims to train on. [default: the newest]"),
    ] = None,
) -> None:
    """Train a model. The same claims always give the same version."""
    try:
        settings = load_settings()
        model = train_default(settings, data_date.date() if data_date else None)
    except (SettingsError, NoClaimsError, ModelError) as error:
        fail(error)
    say(f"{model.version}: trained on {model.training['rows']:,} claims of {model.training['data_date']}, now default")
    say(f"{settings.models / model.version}")


if __name__ == "__main__":
    typer.run(main)
