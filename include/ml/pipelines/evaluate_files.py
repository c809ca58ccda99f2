"""`python -m ml.pipelines.evaluate_files`: how good the scores are on labelled files of one's own."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from math import isnan
from pathlib import Path
from typing import Annotated

import typer

from ml.claims.raw_files import RawInputError
from ml.clock import DataDateError, checked_data_date, data_date_of, now
from ml.evaluation.own_files import FilesEvaluation, evaluate_files
from ml.evaluation.own_files_report import write_files_report
from ml.pipelines.console import Verbose, clearing_up_when_ended, failing_in_one_line, say
from ml.rules import RulesetError
from ml.settings import SettingsError, load_settings


def main(
    raw_dir: Annotated[Path, typer.Option(help="Folder with the two raw files.")],
    labels: Annotated[
        Path,
        typer.Option(
            help="What is known, .csv or .parquet: of claims claim_id, fraud_type and perhaps is_bad_provider; or of "
            "providers facility_key and is_bad_provider."
        ),
    ],
    data_date: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"], help="Claims discharged later are not known.", show_default="today in Jakarta"
        ),
    ] = None,
    ruleset: Annotated[str | None, typer.Option(help="The ruleset to judge.", show_default="RULESET_VERSION")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print every figure as one JSON document.")] = False,
    verbose: Verbose = False,
) -> None:
    """Judge a ruleset on labelled claims beside RULESET_v1, sorting by amount and chance.

    The claims go through the ETL and get a model of their own, in a folder that is removed afterwards; nothing of the
    instance changes. 100,000 claims need about half a minute.
    """
    expected = (SettingsError, RulesetError, RawInputError, DataDateError, ValueError)
    with clearing_up_when_ended(), failing_in_one_line(*expected, verbose=verbose):
        settings = load_settings()
        found = evaluate_files(
            raw_dir,
            labels,
            checked_data_date(data_date.date()) if data_date else data_date_of(now()),
            ruleset or settings.ruleset_version,
            settings,
        )
    say(_as_json(found) if as_json else write_files_report(found))


def _as_json(found: FilesEvaluation) -> str:
    """Every figure; what the files have nothing for is null."""
    document = asdict(found) | {
        "figures": [
            {"level": level, "scorer": scorer, "measure": measure, "value": None if isnan(value) else value}
            for level, scorer, measure, value in found.figures
        ]
    }
    return json.dumps(document, indent=1, default=str, allow_nan=False)


if __name__ == "__main__":
    typer.run(main)
