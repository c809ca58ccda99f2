"""`python -m ml.pipelines.models`: list, show, judge, promote and demote the models, and read their log."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from ml.model.artefact import ModelError, load_model
from ml.model.gate_file import GateFileError, read_gate_file
from ml.model.training import changed_definitions
from ml.pipelines import models_report as report
from ml.pipelines.console import Verbose, fail, failing_in_one_line, say
from ml.promotion import life
from ml.promotion.log import Entry, Event, was_demoted
from ml.promotion.registry import Registry, user
from ml.rules import RulesetError, load_ruleset
from ml.settings import Settings, SettingsError, load_settings

REFUSED = 3

app = typer.Typer(
    help="The models: which one scores, how each was judged, and the way to another or back.",
    epilog="Exit codes: 0 done; 1 failed; 2 wrong usage; 3 refused by the gate, or a model is damaged. "
    "A VERSION may be shortened as long as it is unambiguous; `default` is one too.",
    no_args_is_help=True,
    add_completion=False,
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
Reason = Annotated[str | None, typer.Option(help="Why; kept in the log.")]
Who = Annotated[str | None, typer.Option(help="Who decides.", show_default="your user name")]


@app.command("list")
def list_models(as_json: Json = False, verbose: Verbose = False) -> None:
    """List all models: which is the default, what each was trained on, the gate's last word.

    Exit code 3 if the default cannot be loaded.
    """
    with failing_in_one_line(SettingsError, verbose=verbose):
        settings = load_settings()
        registry = Registry.of(settings)
        log, default = registry.log.read(), registry.default_version
        entries = [_entry(settings, version, default, log) for version in registry.versions]
    try:
        _ = registry.default
    except ModelError as error:
        entries.append({"version": "default.json", "default": True, "problem": str(error)})
    if default and default not in registry.versions:
        entries.append({"version": default, "default": True, "problem": "default.json names it, but it is not there"})
    _print_json(entries) if as_json else report.show_list(entries)
    if any(entry["default"] and entry["problem"] for entry in entries):
        raise typer.Exit(REFUSED)


@app.command()
def show(version: str, as_json: Json = False, verbose: Verbose = False) -> None:
    """Show a model: training, features and their hashes, what the gate measured, what happened to it.

    Exit code 3 if it cannot be loaded.
    """
    with failing_in_one_line(SettingsError, verbose=verbose):
        settings = load_settings()
        registry = Registry.of(settings)
        found = _resolve(registry, version)
        log = registry.log.read()
        entry = _entry(settings, found, registry.default_version, log)
        events = [each for each in log if found in (each.version, each.previous)]
        gate = _gate(settings, found)
    if as_json:
        happened = [each.model_dump(mode="json", exclude_none=True) for each in events]
        _print_json(entry | {"gate": gate, "log": happened})
    else:
        report.show_model(entry, gate, events, settings.models / found)
    if entry["problem"]:
        raise typer.Exit(REFUSED)


@app.command()
def judge(version: str, as_json: Json = False, verbose: Verbose = False) -> None:
    """Let the gate judge a model against the default, without making it the default. Exit code 3 if it refuses."""
    with failing_in_one_line(SettingsError, RulesetError, verbose=verbose):
        settings = load_settings()
        judged = life.judge_candidate(settings, _resolve(Registry.of(settings), version))
    document = judged.model_dump(mode="json")
    _print_json(document) if as_json else report.show_gate(document)
    if not judged.passed:
        raise typer.Exit(REFUSED)


@app.command()
def promote(
    version: str,
    force: Annotated[bool, typer.Option("--force", help="Whatever the gate says; needs --reason.")] = False,
    reason: Reason = None,
    who: Who = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Make a model the default, from the next night on. The gate judges it first, unless it has passed already.

    Exit code 3 if the gate refuses it.
    """
    with failing_in_one_line(SettingsError, RulesetError, verbose=verbose):
        settings = load_settings()
        found = _resolve(Registry.of(settings), version)
        try:
            entry = life.promote_candidate(settings, found, who=who, reason=reason, force=force)
        except life.GateRefusedError as error:
            fail(error, REFUSED)
    _said(entry, as_json)


@app.command()
def demote(reason: Reason = None, who: Who = None, as_json: Json = False, verbose: Verbose = False) -> None:
    """Make the default before the present one the default again, from the next night on. No gate; needs --reason."""
    with failing_in_one_line(SettingsError, RulesetError, verbose=verbose):
        settings = load_settings()
        ruleset = load_ruleset(settings.ruleset_version)
        entry = Registry.of(settings).demote(who=who or user(), reason=reason or "", ruleset=ruleset)
    _said(entry, as_json)


@app.command("log")
def show_log(as_json: Json = False, verbose: Verbose = False) -> None:
    """Show what happened, oldest first: trained, judged, promoted, demoted; by whom and why."""
    with failing_in_one_line(SettingsError, verbose=verbose):
        entries = Registry.of(load_settings()).log.read()
    if as_json:
        _print_json([entry.model_dump(mode="json", exclude_none=True) for entry in entries])
    else:
        report.show_log(entries)


def _resolve(registry: Registry, wanted: str) -> str:
    """Return the version that is meant by a version, an unambiguous beginning of one, or `default`."""
    if wanted == "default":
        default = registry.default
        if default is None:
            raise ModelError("there is no default model; python -m ml.pipelines.train_model makes the first")
        return default.version
    if not wanted:  # a script's empty variable must not mean "the only one"
        raise ModelError("the version is empty")
    versions = registry.versions
    matching = [version for version in versions if version.startswith(wanted)]
    if wanted in versions or len(matching) == 1:
        return wanted if wanted in versions else matching[0]
    if matching:
        raise ModelError(f"{wanted} may be any of: {', '.join(matching)}")
    raise ModelError(f"there is no model {wanted}; `python -m ml.pipelines.models list` shows those there are")


def _entry(settings: Settings, version: str, default: str | None, log: list[Entry]) -> dict[str, Any]:
    """What list and show say of a model; `problem` where it does not load."""
    entry: dict[str, Any] = {"version": version, "default": version == default, "problem": None}
    entry["gate"] = next((e.event for e in reversed(log) if e.version == version and e.event.startswith("gate")), None)
    entry["demoted"] = was_demoted(log, version)
    try:
        model = load_model(settings.models, version)
    except ModelError as error:
        return entry | {"problem": str(error)}
    return entry | {
        "training": model.training,
        "trained_on": Registry.of(settings).trained_on(version),
        "content_sha256": model.content_sha256,
        "features": model.features.names,
        "changed_definitions": changed_definitions(model, settings.min_peers),
    }


def _gate(settings: Settings, version: str) -> dict[str, Any] | None:
    try:
        return read_gate_file(settings.models / version)
    except GateFileError:  # the model does not load then, and `problem` says why
        return None


def _said(entry: Entry, as_json: bool) -> None:
    if as_json:
        _print_json(entry.model_dump(mode="json", exclude_none=True))
    else:
        # After a pointer that could not be read the one before is this one.
        instead = "" if entry.previous == entry.version else f", instead of {entry.previous or 'none'}"
        say(f"{entry.version} is the default now{instead}. The next night scores with it.")
        if entry.event is Event.DEMOTED:
            say(f"Back: python -m ml.pipelines.models promote {entry.previous} --force --reason TEXT")
        elif entry.previous:
            say("Back: python -m ml.pipelines.models demote --reason TEXT")


def _print_json(content: Any) -> None:
    say(json.dumps(content, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    app()
