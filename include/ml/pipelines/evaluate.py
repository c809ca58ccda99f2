"""`python -m ml.pipelines.evaluate`: how good the scores are on generated claims, as a document and a plot."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import asdict
from math import isnan
from pathlib import Path
from typing import Annotated

import typer

from ml.evaluation.evaluate import evaluate
from ml.evaluation.figures import Evaluation, Plan
from ml.files import replace_durably
from ml.pipelines.console import Verbose, failing_in_one_line, say
from ml.rules import RulesetError
from ml.sample.config import Setting
from ml.settings import PROJECT_ROOT, SettingsError, load_settings

DEFAULT = Plan()
SETTINGS = ",".join(DEFAULT.settings)
DOCUMENT = PROJECT_ROOT / "docs" / "evaluation.md"
PLOT = PROJECT_ROOT / "docs" / "images" / "evaluation.svg"


def main(
    claims: Annotated[int, typer.Option(min=100, help="Claims of each set.")] = DEFAULT.claims,
    seeds: Annotated[str, typer.Option(help="Seeds of the generator: `11..15`, `11,12`, or both.")] = "11..15",
    settings: Annotated[str, typer.Option(help=f"Settings of the generator, of {', '.join(Setting)}.")] = SETTINGS,
    ruleset: Annotated[str | None, typer.Option(help="The ruleset to judge.", show_default="RULESET_VERSION")] = None,
    models: Annotated[
        int, typer.Option(min=1, max=20, help="Models trained on each set; the overlap is that of their pairs.")
    ] = DEFAULT.models,
    out: Annotated[Path, typer.Option(help="The document.")] = DOCUMENT,
    plot: Annotated[
        Path | None,
        typer.Option(
            help="The plot, .svg or .png.", show_default="docs/images/evaluation.svg, or beside another --out"
        ),
    ] = None,
    work: Annotated[
        Path | None, typer.Option(help="Keeps the generated sets.", show_default="`work/evaluation` in the instance")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print every figure as one JSON document.")] = False,
    verbose: Verbose = False,
) -> None:
    """Judge a ruleset beside RULESET_v1, sorting by amount and chance, and write table and plot.

    The same arguments give the same bytes. The defaults are the reported sets; 100,000 claims need about 20 seconds a
    set, less when the sets are there already.
    """
    plan_seeds, plan_settings = _seeds(seeds), _settings(settings)
    plot = plot or (PLOT if out == DOCUMENT else out.with_suffix(".svg"))
    with failing_in_one_line(SettingsError, RulesetError, ValueError, verbose=verbose):
        draw, write_report = _writers(plot)
        chosen = load_settings()
        plan = Plan(plan_settings, plan_seeds, claims, ruleset or chosen.ruleset_version, models)
        evaluation = evaluate(
            plan,
            work or chosen.work / "evaluation",
            threads=chosen.threads,
            memory_limit=chosen.memory_limit,
        )
        draw(evaluation, plot)
        link = Path(os.path.relpath(plot.absolute(), out.absolute().parent)).as_posix()
        _write(out, write_report(evaluation, link, _command(plan)))
    if as_json:
        say(_as_json(evaluation))
    else:
        say(f"{len(evaluation.sets)} sets of {claims:,} claims, {plan.ruleset}: {out} and {plot}")


def _writers(plot: Path) -> tuple[Callable[[Evaluation, Path], None], Callable[[Evaluation, str, str], str]]:
    """What writes plot and document: their libraries are not in a production image, and are asked for before the work.

    Raises:
        ValueError: the plot's ending is none that can be drawn.
        RuntimeError: a library is missing.
    """
    try:
        import vl_convert  # noqa: F401 - what Altair draws with

        from ml.evaluation.plot import check_plot, draw
        from ml.evaluation.report import write_report
    except ModuleNotFoundError as error:
        raise RuntimeError(f"{error.name} is missing: the plot needs the extra `dev` (pip install '.[dev]')") from None
    check_plot(plot)
    return draw, write_report


def _seeds(text: str) -> tuple[int, ...]:
    """The seeds that a text such as `11..13,20` names, each once, in its order."""
    seeds: list[int] = []
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\d{1,9})(?:\.\.(\d{1,9}))?\s*", part)
        if not found:
            raise typer.BadParameter(f"{part!r} names no seed; write 11..15 or 11,12", param_hint="--seeds")
        first = int(found[1])
        seeds += range(first, int(found[2] or first) + 1)
    if not seeds:
        raise typer.BadParameter(f"{text!r} names no seed; write 11..15 or 11,12", param_hint="--seeds")
    return tuple(dict.fromkeys(seeds))


def _settings(text: str) -> tuple[Setting, ...]:
    """The settings that a comma-separated text names, each once, in its order."""
    try:
        return tuple(dict.fromkeys(Setting(part.strip()) for part in text.split(",")))
    except ValueError as error:
        raise typer.BadParameter(f"{error}; known: {', '.join(Setting)}", param_hint="--settings") from None


def _command(plan: Plan) -> str:
    """The command that makes these figures again, without paths: they decide no figure."""
    words = ["python -m ml.pipelines.evaluate"]
    if plan.claims != DEFAULT.claims:
        words.append(f"--claims {plan.claims}")
    if plan.seeds != DEFAULT.seeds:
        words.append(f"--seeds {','.join(map(str, plan.seeds))}")
    if plan.settings != DEFAULT.settings:
        words.append(f"--settings {','.join(plan.settings)}")
    if plan.models != DEFAULT.models:
        words.append(f"--models {plan.models}")
    return " ".join([*words, f"--ruleset {plan.ruleset}"])


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    replace_durably(temporary, path)


def _as_json(evaluation: Evaluation) -> str:
    """Every set and figure; what a set has nothing for is null."""
    document = asdict(evaluation)
    for figure in document["figures"]:
        figure["value"] = None if isnan(figure["value"]) else figure["value"]
    return json.dumps(document, indent=1, allow_nan=False)


if __name__ == "__main__":
    typer.run(main)
