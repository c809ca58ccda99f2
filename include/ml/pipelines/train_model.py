"""`python -m ml.pipelines.train_model`: trains a model on published claims, lets the gate judge it, and promotes it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from ml.clock import DataDateError
from ml.model.training import SEED
from ml.pipelines.console import Verbose, fail, failing_in_one_line, say
from ml.promotion import life
from ml.promotion.registry import Registry
from ml.rules import RulesetError
from ml.settings import SettingsError, load_settings

REFUSED = 3


def main(
    data_date: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Jakarta date of the claims to train on.", show_default="the newest"),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of the forests.")] = SEED,
    promote: Annotated[
        bool, typer.Option(help="Whether the model becomes the default when it passes the gate.")
    ] = True,
    verbose: Verbose = False,
) -> None:
    """Train a model; if it passes the gate, it becomes the default. The same claims and seed give the same version.

    Exit codes: 0 done; 1 failed; 2 wrong usage; 3 the gate refused it, and the default stays what it was.
    """
    with failing_in_one_line(SettingsError, DataDateError, RulesetError, verbose=verbose):
        settings = load_settings()
        model = life.train_candidate(settings, data_date.date() if data_date else None, seed=seed)
        rows, day = model.training["calibration_rows"], model.training["data_date"]
        say(f"{model.version}: trained on {rows:,} claims of {day}")
        say(f"{settings.models / model.version}")
        before = Registry.of(settings).default_version
        if before == model.version:
            say("It is the default already: these claims and this seed have made it before.")
            return
        try:
            life.require_passed(settings, model.version)
        except life.GateRefusedError as error:
            fail(error, REFUSED)
        if promote:
            life.promote_candidate(settings, model.version)
            say(f"The gate passed it; it is the default now, before it was {before or 'none'}.")
        else:
            say(
                "The gate passed it; it is kept as a candidate only, as --no-promote says. "
                f"python -m ml.pipelines.models promote {model.version}"
            )


if __name__ == "__main__":
    typer.run(main)
