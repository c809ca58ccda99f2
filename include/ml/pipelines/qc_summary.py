"""`python -m ml.pipelines.qc_summary`: regenerates the summary over all QC logs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ml.pipelines.console import say
from ml.qc import QcError, write_summary
from ml.qc.logs import SUMMARY_NAME
from ml.release import ReleaseError, ReleaseStore
from ml.settings import SettingsError, load_settings


def main(
    logs_dir: Annotated[
        Path | None, typer.Option(help="Folder of the QC logs.", show_default="`logs/` in the instance")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Summary to write.", show_default=f"{SUMMARY_NAME} in the folder of the logs")
    ] = None,
) -> None:
    """Summarise all QC logs of a folder in one JSON file.

    Exit code 0 also for a folder without logs (the summary then holds 0 snapshots); 2 if there is no such folder or
    the summary cannot be written.
    """
    try:
        logs_dir = logs_dir or load_settings().logs
        output = output or logs_dir / SUMMARY_NAME
        summary = write_summary(logs_dir, output, live_release_id=_live_release_of(logs_dir))
    except (QcError, SettingsError) as error:
        typer.secho(f"ERROR: {error}", fg=typer.colors.RED, err=True)
        raise typer.Exit(2) from None
    say(f"QC summary saved to {output} (snapshots={summary['total_snapshots']}, failed={summary['failed_snapshots']})")
    if not summary["total_snapshots"]:
        say(f"No QC logs in {logs_dir} yet: every scoring run writes one.")


def _live_release_of(logs_dir: Path) -> str | None:
    """The release that readers see, when these are our own instance's logs."""
    try:
        settings = load_settings()
        live = ReleaseStore(settings.instance_dir).live() if logs_dir.resolve() == settings.logs.resolve() else None
    except (SettingsError, ReleaseError):  # neither keeps the logs from being summarised
        return None
    return live.id if live else None


if __name__ == "__main__":
    typer.run(main)
