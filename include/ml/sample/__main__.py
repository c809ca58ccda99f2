"""`python -m ml.sample`: write a synthetic sample of claims."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from ml.sample.config import GeneratorConfig, Setting
from ml.sample.files import Format, SampleError, check_target, default_labels, write
from ml.sample.generate import generate

app = typer.Typer(add_completion=False)


@app.command()
def main(
    claims: Annotated[int, typer.Option(min=1, help="Number of claims.")],
    out: Annotated[Path, typer.Option(help="Folder for the two raw files.")],
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same bytes.")] = 0,
    fmt: Annotated[Format, typer.Option("--format", help="File format.")] = Format.CSV,
    until: Annotated[
        datetime, typer.Option(formats=["%Y-%m-%d"], help="Last discharge date of the one-year window.")
    ] = datetime(2022, 12, 31),  # noqa: DTZ001 - a calendar date; typer has no date type
    setting: Annotated[
        Setting,
        typer.Option(
            help="clean: no administrative noise; noisy: a tenth of the honest claims deviate; sporadic: no bad "
            "providers; shifted: seasons half a year later, twice the infections."
        ),
    ] = Setting.DEFAULT,
    labels: Annotated[
        Path | None,
        typer.Option(help="Labels file, .parquet or .csv; default `<out>_labels/labels.parquet` beside the folder."),
    ] = None,
) -> None:
    """Write synthetic claims in the BPJS sample-data layout, with about 1% labelled fraud."""
    target = labels or default_labels(out)
    try:
        check_target(out, fmt, target)  # before the work, not after it
        sample = generate(GeneratorConfig(claims=claims, seed=seed, until=until.date()).under(setting))
        paths = write(sample, out, fmt, target)
    except (SampleError, ValueError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None
    fraud = sample.labels["is_fraud"].to_numpy().sum()
    typer.echo(f"{paths['visits']}: {sample.visits.num_rows:,} claims, {fraud:,} of them fraudulent")
    typer.echo(f"{paths['diagnoses']}: {sample.diagnoses.num_rows:,} secondary diagnoses")
    typer.echo(f"{paths['labels']}: labels, not for the pipeline")


if __name__ == "__main__":
    app()
