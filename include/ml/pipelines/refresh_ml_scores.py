"""`python -m ml.pipelines.refresh_ml_scores --top-k 50`: the nightly run without Airflow, by the same functions."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Annotated

import typer

from ml import nightly
from ml.clock import now, stamp
from ml.pipelines.console import fail, say
from ml.release import RunToken
from ml.settings import Settings, SettingsError, load_settings


def main(
    top_k: Annotated[
        int | None,
        typer.Option(min=1, max=10_000, help="Riskiest claims that QC looks at. [default: REFRESH_TOP_K, else 50]"),
    ] = None,
    data_date: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Jakarta date of the claims to score. [default: the newest there is]"),
    ] = None,
) -> None:
    """Score all claims, publish the scores, check them; on any failure the scores that were live stay in use."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("ml").setLevel(logging.INFO)
    try:
        settings = load_settings()
    except SettingsError as error:
        fail(error)
    token = RunToken(f"cli__{stamp(now())}", 1)
    try:
        _refresh(settings, token, top_k, data_date)
    except Exception as error:  # whatever happened, readers must be back on what was live
        restored = nightly.restore(
            settings, token.run_id, token.try_number, reason=f"{type(error).__name__}: {error}"[:500]
        )
        fail(f"{error}\nThe refresh failed. {restored.message}")


def _refresh(settings: Settings, token: RunToken, top_k: int | None, data_date: datetime | None) -> None:
    nightly.recover(settings, token.run_id)
    scored = nightly.score(settings, token, data_date=data_date.date() if data_date else None)
    say(f"scored {scored.rows:,} claims of {scored.data_date} with {scored.model_version}, {scored.ruleset_version}")
    nightly.audit(settings, scored.folder)
    published = nightly.publish(settings, token, scored.folder)
    log = nightly.check_quality(
        settings, release_id=published.release_id, run_id=token.run_id, folder=scored.folder, top_k=top_k
    )
    nightly.summarise(settings, scored.folder)
    state = "live" if published.switched else "archived (a newer data date is live)"
    say(f"release {published.release_id}: {published.rows:,} rows, {state}, QC passed ({log})")


if __name__ == "__main__":
    typer.run(main)
