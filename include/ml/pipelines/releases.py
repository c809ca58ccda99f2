"""`python -m ml.pipelines.releases`: list, show, verify, compare, recover and roll back the releases of the scores."""

from __future__ import annotations

import getpass
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel

from ml.clock import now
from ml.compare import ComparisonError, compare_releases
from ml.pipelines import releases_report as report
from ml.pipelines.console import Verbose, failing_in_one_line, say
from ml.release import Release, ReleaseError, ReleaseStore
from ml.release.journal import Event, History
from ml.settings import Settings, SettingsError, load_settings

DAMAGED = 3

app = typer.Typer(
    help="The releases of the scores: what is live, what was, what changed, and the way back.",
    epilog="Exit codes: 0 done; 1 refused or failed; 2 wrong usage; 3 a release is damaged. "
    "An ID may be shortened as long as it is unambiguous; `live` and `previous` are IDs too.",
    no_args_is_help=True,
    add_completion=False,
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]


@app.command("list")
def list_releases(as_json: Json = False, verbose: Verbose = False) -> None:
    """List all releases, newest first: which is live, data date, rows, model, ruleset, QC verdict, age, size.

    Exit code 3 if a file of the live release is missing, cut short or unreadable. Hashes are not computed here: that is
    what `verify` is for.
    """
    with failing_in_one_line(SettingsError, verbose=verbose):
        settings = load_settings()
        store = _store(settings)
        live, history, ids = store.live_id(), History(store.journal()), _all_ids(store)
        entries = [_entry_or_damage(store, release_id, live, history) for release_id in ids]
        rubbish = _rubbish(settings.instance_dir / "releases", ids)
    _print_json(entries) if as_json else report.show_list(entries)
    report.warn_of_rubbish(rubbish)
    if any(entry["live"] and "problem" in entry for entry in entries):
        raise typer.Exit(DAMAGED)


@app.command()
def show(release: str, as_json: Json = False, verbose: Verbose = False) -> None:
    """Show what a release is made of and what happened to it: published, checked, given up, restored, rolled back."""
    with failing_in_one_line(SettingsError, verbose=verbose):
        store = _store(load_settings())
        found = store.get(_resolve(store, release))
        history = History(store.journal())
        entry = _entry(found, store.live_id(), history)
        events = [record for record in history.records if found.id in (record.release_id, record.previous)]
    if as_json:
        happened = [record.model_dump(mode="json", exclude_none=True) for record in events]
        _print_json(entry | {"manifest": found.manifest.model_dump(mode="json"), "journal": happened})
    else:
        report.show_release(found, entry, events)


@app.command()
def verify(
    release: Annotated[str | None, typer.Argument(show_default="live")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Verify every release.")] = False,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Recompute all a release claims: files, hashes, rows, table against Parquet. Exit code 3 if anything is wrong."""
    if release is not None and everything:
        raise typer.BadParameter("name a release, or --all, not both")
    with failing_in_one_line(SettingsError, verbose=verbose):
        store = _store(load_settings())
        live = store.live_id()
        ids = _all_ids(store) if everything else [_resolve(store, "live" if release is None else release)]
        found = {release_id: store.verify(release_id) for release_id in ids}
        advice = {release_id: store.best_alternative(release_id) for release_id in ids if found[release_id]}
    verdicts = [
        {"release_id": each, "live": each == live, "problems": found[each], "best_alternative": advice.get(each)}
        for each in ids
    ]
    if as_json:
        _print_json(verdicts)
    else:
        report.show_verdicts(verdicts)
    if advice:
        raise typer.Exit(DAMAGED)


@app.command()
def rollback(
    to: Annotated[str | None, typer.Option("--to", show_default="the good release before the live one")] = None,
    reason: Annotated[str | None, typer.Option(help="Why; kept in the journal. Asked for on a terminal.")] = None,
    who: Annotated[str | None, typer.Option(help="Who decides.", show_default="your user name")] = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Make an earlier release live again, and write the QC summary anew. Refuses one that does not verify."""
    if reason is None or not reason.strip():  # a script's empty variable is no reason either
        reason = typer.prompt("Reason", err=True) if sys.stdin.isatty() else "no reason given"
    with failing_in_one_line(SettingsError, verbose=verbose):
        from ml.rollback import plan_rollback  # what scores and checks is slow to import
        from ml.rollback import rollback as roll_back

        settings = load_settings()
        store = _store(settings)
        plan = plan_rollback(settings, None if to is None else _resolve(store, to))
        if not as_json:
            say(plan.effect)
        done = roll_back(settings, plan.target, reason=reason, who=who or _user(), instead_of=plan.live)
    _print_json(asdict(done) | {"effect": plan.effect}) if as_json else say(done.message)


@app.command()
def recover(as_json: Json = False, verbose: Verbose = False) -> None:
    """Do by hand what every run does first: clear up after dead processes and dead runs.

    Exit code 3 if the live release is damaged and was left live.
    """
    with failing_in_one_line(SettingsError, verbose=verbose):
        from ml.nightly import recover as recover_instance

        recovered = recover_instance(load_settings(), None)
    _print_json(asdict(recovered)) if as_json else say(recovered.message)
    if recovered.damage:
        raise typer.Exit(DAMAGED)


@app.command()
def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="The release before.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The release after.")],
    top_k: Annotated[int | None, typer.Option(min=1, max=10_000, show_default="REFRESH_TOP_K, else 50")] = None,
    language: Annotated[str, typer.Option(help="Language of the reasons: en or id.")] = "en",
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Say what changed from release A to B: claims, the top-K with reasons, ranks, shifts of scores and flags."""
    if language not in ("en", "id"):
        raise typer.BadParameter("--language: en or id")
    with failing_in_one_line(SettingsError, ComparisonError, verbose=verbose):
        settings = load_settings()
        store = _store(settings)
        before, after = store.get(_resolve(store, a)), store.get(_resolve(store, b))
        changes = compare_releases(before, after, top_k=top_k or settings.top_k, settings=settings)
    _print_json(changes) if as_json else report.show_comparison(changes, language)


def _store(settings: Settings) -> ReleaseStore:
    return ReleaseStore(
        settings.instance_dir,
        lock_timeout=settings.lock_timeout_seconds,
        memory_limit=settings.memory_limit,
        threads=settings.threads,
    )


def _all_ids(store: ReleaseStore) -> list[str]:
    """Every release, newest first, also what a dangling `current` names."""
    ids = store.ids()[::-1]
    live = store.live_id()
    return ids if live is None or live in ids else [live, *ids]


def _resolve(store: ReleaseStore, wanted: str) -> str:
    """Return the id that is meant by an id, an unambiguous beginning of one, `live` or `previous`."""
    if wanted in ("live", "previous"):
        live = store.live_id()
        if live is None:
            raise ReleaseError("no release is live")
        previous = live if wanted == "live" else store.get(live).manifest.previous
        if previous is None:
            raise ReleaseError(f"nothing was live before {live}")
        return previous
    if not wanted:  # a script's empty variable must not mean "the default" or "the only one"
        raise ReleaseError("the id is empty")
    ids = _all_ids(store)
    matching = [release_id for release_id in ids if release_id.startswith(wanted)]
    if wanted in ids or len(matching) == 1:
        return wanted if wanted in ids else matching[0]
    if matching:
        raise ReleaseError(f"{wanted} may be any of: {', '.join(matching)}")
    raise ReleaseError(f"there is no release {wanted}; `list` shows those there are")


def _entry_or_damage(store: ReleaseStore, release_id: str, live: str | None, history: History) -> dict[str, Any]:
    try:
        release = store.get(release_id)
    except ReleaseError as error:
        return {"release_id": release_id, "live": release_id == live, "state": "damaged", "problem": str(error)}
    entry = _entry(release, live, history)
    problem = _missing_or_cut(release)
    return entry | {"state": "damaged", "problem": problem} if problem else entry


def _missing_or_cut(release: Release) -> str | None:
    """What a look at its files' sizes tells at once; the hashes are left to `verify`."""
    for name, published in release.manifest.files.items():
        try:
            size = (release.path / name).stat().st_size
        except FileNotFoundError:
            return f"{release.id}: {name} is missing"
        if size != published.size:
            return f"{release.id}: {name} has {size} bytes, {published.size} were published"
    return None


def _rubbish(releases: Path, ids: Sequence[str]) -> list[Path]:
    """Folders among the releases that are no complete release and never were one."""
    return sorted(path for path in releases.glob("*/") if path.name not in ids)


def _entry(release: Release, live: str | None, history: History) -> dict[str, Any]:
    """What the list says of a release."""
    manifest = release.manifest
    return {
        "release_id": release.id,
        "live": release.id == live,
        "data_date": str(manifest.data_date),
        "rows": manifest.rows,
        "model_version": manifest.model_version,
        "ruleset_version": manifest.ruleset_version,
        "qc_passed": history.qc_passed(release.id),
        "state": _state(release.id, live, history),
        "created_at": manifest.created_at.isoformat(),
        "age_seconds": round((now() - manifest.created_at).total_seconds()),
        "size_bytes": sum(entry.size for entry in manifest.files.values()),
    }


def _state(release_id: str, live: str | None, history: History) -> str:
    """`live`, `given up`, `superseded` (was live), `archived` (its data date was old) or `never live`."""
    if release_id == live:
        return "live"
    if history.given_up(release_id):
        return "given up"
    events = {record.event for record in history.records if record.release_id == release_id}
    if events & {Event.SWITCHED, Event.RESTORED, Event.ROLLED_BACK}:
        return "superseded"
    return "archived" if Event.ARCHIVED in events else "never live"


def _user() -> str:
    """Whose hands are on the keyboard, also behind sudo."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):  # a container's user may have a number only
        return f"uid {os.getuid()}"


def _print_json(content: BaseModel | Any) -> None:
    plain = content.model_dump(mode="json") if isinstance(content, BaseModel) else content
    say(json.dumps(plain, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    app()
