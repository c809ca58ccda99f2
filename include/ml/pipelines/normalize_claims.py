"""`python -m ml.pipelines.normalize_claims`: the ETL without Airflow, with the same contract and the same SQL."""

from __future__ import annotations

import os
from datetime import datetime
from typing import Annotated

import typer

from ml.claims.etl import publish_claims, run_sql_steps, start_build
from ml.claims.raw_files import RawInputError
from ml.clock import DataDateError, checked_data_date, data_date_of, now, stamp
from ml.pipelines.console import Verbose, failing_in_one_line, say
from ml.settings import SettingsError, load_settings


def main(
    data_date: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"], help="Jakarta date to build for.", show_default="that of the latest ETL tick"
        ),
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Build claims_normalized from the raw files; bad rows go to quarantine with their reasons."""
    with failing_in_one_line(SettingsError, RawInputError, DataDateError, verbose=verbose):
        day = checked_data_date(data_date.date()) if data_date else data_date_of(now())
        settings = load_settings()
        build, report = start_build(settings, day, f"manual-{stamp(now())}-{os.getpid()}")
        for line in report.lines():
            say(line)
        run_sql_steps(settings, build)
        claims = publish_claims(settings, build)
    say(f"claims_normalized for {claims.data_date}: {claims.rows:,} claims in {claims.path}")


if __name__ == "__main__":
    typer.run(main)
