"""`python -m ml.pipelines.show_release`: what readers see now, and where everything lies."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import duckdb
import typer
from rich.console import Console
from rich.markup import escape

from ml.clock import JAKARTA, now
from ml.nightly import store_of
from ml.pipelines.console import Verbose, fail, failing_in_one_line
from ml.qc.logs import SUMMARY_NAME
from ml.release import Release, ReleaseError
from ml.release.journal import History, Record
from ml.settings import Settings, SettingsError, duckdb_config, load_settings
from ml.sql import sql_text

PROVIDERS_SHOWN = 3
LISTS = {"risk": "riskiest_claims", "excess": "most_recoverable_claims"}
"""What the claims are sorted by -> the statement in include/sql/report."""
WORDS = {
    "en": {
        "risk": "the {} riskiest claims",
        "excess": "the {} claims with most to recover",
        "providers": "the {} riskiest providers",
        "claim": "risk {}  {} {}, {}, LOS {}, Rp{} (excess Rp{}), {}, {}",
        "provider": "risk {}  {} claims, {} of them at 0.5 or more, Rp{} (excess Rp{}), {}, {}",
        "no reason": "no reason recorded",
    },
    "id": {
        "risk": "{} klaim paling berisiko",
        "excess": "{} klaim dengan rupiah terbanyak yang dapat dipulihkan",
        "providers": "{} faskes paling berisiko",
        "claim": "risiko {}  {} {}, {}, LOS {}, Rp{} (kelebihan Rp{}), {}, {}",
        "provider": "risiko {}  {} klaim, {} di antaranya 0,5 ke atas, Rp{} (kelebihan Rp{}), {}, {}",
        "no reason": "tidak ada alasan tercatat",
    },
}
"""The words of the lists, as auditors read them; the rest is for who runs the commands, and English."""
VERDICTS = {True: "[green]passed[/]", False: "[red]failed[/]", None: "[yellow]not checked yet[/]"}


def main(
    top: Annotated[int, typer.Option(min=1, max=1000, help="How many claims to list.")] = 10,
    by: Annotated[
        str, typer.Option(help="Sort the claims by risk, or by excess: the rupiah that an audit could recover.")
    ] = "risk",
    max_per_facility: Annotated[
        int | None, typer.Option(min=1, max=1000, help="List only so many claims of each facility.")
    ] = None,
    language: Annotated[str, typer.Option(help="Language of the lists and reasons: en or id.")] = "en",
    verbose: Verbose = False,
) -> None:
    """Show the live release, its QC verdict, the riskiest claims with their reasons, and the files."""
    if language not in WORDS:
        fail(f"--language: {' or '.join(WORDS)}", 2)
    if by not in LISTS:
        fail(f"--by: {' or '.join(LISTS)}", 2)
    with failing_in_one_line(SettingsError, verbose=verbose):
        settings = load_settings()
        store = store_of(settings)
        live = store.live_id()
        if live is None:
            fail(f"{settings.instance_dir}: no release is live yet. Make one: make run")
        with _naming_the_release(live):
            release = store.get(live)
            claims = _rows(settings, release, LISTS[by], top=top, max_per_facility=max_per_facility)
            providers = _rows(settings, release, "riskiest_providers", top=PROVIDERS_SHOWN)
        console = Console(soft_wrap=True)
        checked = History(store.journal()).qc(release.id)
        _show_release(console, release, checked.passed if checked else None)
        _show_claims(console, claims, by, language)
        _show_providers(console, providers, language)
        _show_places(console, settings, release, checked)


@contextmanager
def _naming_the_release(release_id: str) -> Iterator[None]:
    """Say of which release a file cannot be read, and what to do about it, in one line."""
    try:
        yield
    except (ReleaseError, OSError, duckdb.Error) as error:
        said = " ".join(str(error).split())
        raise ReleaseError(
            f"release {release_id}, which is live, cannot be read ({said}). What is damaged, and what to go back to: "
            "python -m ml.pipelines.releases verify --all"
        ) from error


def _show_release(console: Console, release: Release, qc_passed: bool | None) -> None:
    manifest = release.manifest
    published = manifest.created_at.astimezone(JAKARTA)
    age = now() - published
    facts = {
        "release": release.id,
        "data date": f"{manifest.data_date} (Jakarta)",
        "published": f"{published:%Y-%m-%d %H:%M:%S} WIB, {age.total_seconds():.0f} s ago",
        "rows scored": f"{manifest.rows:,}",
        "QC": VERDICTS[qc_passed],
        "model": manifest.model_version,
        "ruleset": manifest.ruleset_version,
        "before it": manifest.previous or "nothing (first release)",
    }
    console.rule("live release")
    for name, value in facts.items():
        console.print(f"{name:>12}  {value}", highlight=False)


def _show_claims(console: Console, rows: list[dict[str, Any]], by: str, language: str) -> None:
    console.rule(WORDS[language][by].format(len(rows)))
    for place, row in enumerate(rows, start=1):
        facts = (
            _number(row["risk_score"], language),
            *(row[name] for name in ("service_type", "severity_group", "inacbg_code", "los")),
            *(_number(row[name], language) for name in ("amount_claimed", "excess_amount")),
            *(row[name] for name in ("facility_class", "province_name")),
        )
        _show(console, place, row["claim_id"], WORDS[language]["claim"].format(*facts), _reasons(row, language))


def _show_providers(console: Console, rows: list[dict[str, Any]], language: str) -> None:
    console.rule(WORDS[language]["providers"].format(len(rows)))
    for row in rows:
        counted = ("provider_risk_score", "claims", "high_risk_claims", "amount_claimed", "excess_amount")
        facts = (*(_number(row[name], language) for name in counted), row["facility_class"], row["province_name"])
        words = WORDS[language]["provider"].format(*facts)
        _show(console, row["rank"], row["facility_key"], words, _reasons(row, language))


def _show(console: Console, place: int, name: str, facts: str, reasons: list[str]) -> None:
    console.print(f"{place:>3}. [bold]{escape(name)}[/]  {escape(facts)}", highlight=False)
    for reason in reasons:
        console.print(f"       - {escape(reason)}", style="dim", highlight=False)


def _number(value: float, language: str) -> str:
    """A score with three decimals, a count or rupiah with none; in Indonesian 1.234 and 0,567."""
    written = f"{value:.3f}" if isinstance(value, float) else f"{value:,}"
    return written.translate(str.maketrans(",.", ".,")) if language == "id" else written


def _rows(settings: Settings, release: Release, statement: str, **parameters: int | None) -> list[dict[str, Any]]:
    try:
        config = duckdb_config(settings, settings.work)
        with duckdb.connect(str(release.database), read_only=True, config=config) as connection:
            table = connection.sql(sql_text(f"report/{statement}.sql"), params=parameters).to_arrow_table()
    except (duckdb.CatalogException, duckdb.BinderException) as error:
        fail(f"{release.database}: made by an earlier version of this program ({error}). Refresh: make run")
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def _reasons(row: dict[str, Any], language: str) -> list[str]:
    told = [str(reason[f"text_{language}"]) for reason in json.loads(row["reasons"])]
    return told or [f"({WORDS[language]['no reason']})"]


def _show_places(console: Console, settings: Settings, release: Release, checked: Record | None) -> None:
    # Not the newest log: that may be of a release that failed its QC, was archived, or was rolled back.
    log = settings.logs / checked.log if checked and checked.log else None
    places = {
        "table claims_ml_scores": settings.instance_dir / "analytics.duckdb",
        "the same as Parquet": settings.data / "claims_ml_scores.parquet",
        "this release's files": release.path,
        "QC log": log if log and log.exists() else "none of this release",
        "QC summary": settings.logs / SUMMARY_NAME,
        "claims_normalized": settings.data / "claims_normalized.parquet",
        "quarantined rows": settings.quarantine if settings.quarantine.exists() else "none",
    }
    console.rule("where things are")
    for name, place in places.items():
        console.print(f"{name:>22}  {_short(place)}", highlight=False)
    console.rule("what to try next")
    for line in (
        "make up                                    the whole Airflow with its UI on http://127.0.0.1:8080",
        "make api                                   GET /claims/high-risk for auditors; prints a call to try",
        "make run                                   another night: a new release, the old one becomes the backup",
        "CLAIMS_RAW_DIR=/path/to/files make run     your own *fkrtl* and *diagnosissekunder* files",
        ".venv/bin/python -m ml.pipelines.show_release --top 50 --language id",
    ):
        console.print(f"  {line}", highlight=False)


def _short(place: Path | str) -> str:
    path = Path(place)
    return str(path.relative_to(Path.cwd())) if path.is_absolute() and path.is_relative_to(Path.cwd()) else str(place)


if __name__ == "__main__":
    typer.run(main)
