"""The commands of a model's life, through the gate on small sets: what they do, say and return."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from typer.testing import CliRunner, Result

from ml.model.artefact import RiskModel, default_model
from ml.model.gate_file import read_gate_file
from ml.pipelines import train_model
from ml.pipelines.models import app
from ml.promotion import life
from ml.promotion.registry import Registry
from ml.settings import Settings

Save = Callable[[RiskModel], str]


@pytest.fixture(autouse=True)
def _log_level() -> Iterator[None]:
    yield
    logging.getLogger("ml").setLevel(logging.NOTSET)


def run(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == code, result.output
    return result


def default_of(settings: Settings) -> str | None:
    return Registry.of(settings).default_version


def bad(model: RiskModel) -> RiskModel:
    """A model that the gate refuses."""
    return replace(model, training=model.training | {"definitions": {"75_channels": "another"}})


def test_the_first_training_passes_the_gate_and_becomes_the_default(
    instance: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    train_model.main()
    said = capsys.readouterr().out
    version = default_of(instance)
    assert version is not None
    assert f"{version}: trained on 8,000 claims of 2022-12-31" in said
    assert "it is the default now, before it was none" in said
    events = [entry["event"] for entry in json.loads(run("log", "--json").stdout)]
    assert events == ["trained", "gate passed", "promoted"]
    written = read_gate_file(instance.models / version)
    assert written is not None
    assert written["passed"] is True

    train_model.main()
    assert "It is the default already" in capsys.readouterr().out

    train_model.main(seed=5, promote=False)
    said = capsys.readouterr().out
    assert "kept as a candidate only" in said
    assert default_of(instance) == version
    other = re.match(r"(risk-\w+):", said)[1]
    judged = len(json.loads(run("log", "--json").stdout))
    assert f"{other} is the default now, instead of {version}" in run("promote", other[:9]).stdout
    events = [entry["event"] for entry in json.loads(run("log", "--json").stdout)][judged:]
    assert events == ["promoted"], "it had passed against this default already"
    assert "is the default now" in run("demote", "--reason", "seed 5 was a test").stdout
    assert default_of(instance) == version
    table = run("list").stdout
    assert re.search(rf"{other} .*passed, demoted +as now", table)
    assert re.search(rf"{version} .*passed +as now", table)
    run("promote", other, "--force", "--reason", "it was good after all")
    assert "demoted" not in run("list").stdout


def test_a_refused_training_ends_with_3_and_leaves_the_default(
    instance: Settings,
    good: RiskModel,
    save: Save,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    life.promote_candidate(instance, save(good))
    monkeypatch.setattr(life, "train", lambda *_, **__: bad(good))
    with pytest.raises(SystemExit) as end:
        train_model.main()
    assert end.value.code == 3
    said = capsys.readouterr().err
    assert f"The gate refuses {bad(good).version}: its features were defined otherwise" in said
    assert f"The default stays {good.version}" in said
    assert "--force --reason TEXT" in said
    assert default_of(instance) == good.version


def test_judge_show_and_list_tell_what_the_gate_found(
    instance: Settings, good: RiskModel, other_seed: RiskModel, save: Save
) -> None:
    life.promote_candidate(instance, save(good))
    other, refused = save(other_seed), save(bad(good))
    said = run("judge", other).stdout
    assert f"{other} passed against {good.version}, by RULESET_v2 on noisy-42, sporadic-41" in said
    assert re.search(r"average precision +0\.\d+, current 0\.\d+ \(tolerance 0\.037\), by amount 0\.\d+", said)
    assert re.search(r"on 8,000 claims of 2022-12-31: in common top 50: \d+%, top 1,000: \d+%", said)
    document = json.loads(run("judge", refused, "--json", code=3).stdout)
    assert document["passed"] is False
    assert default_of(instance) == good.version, "judging promotes nothing"

    shown = run("show", other).stdout
    assert "trained on  8,000 claims of 2022-12-31" in shown
    assert "scikit-learn" in shown
    assert "passed the gate, against" in shown
    detail = json.loads(run("show", other, "--json").stdout)
    assert detail["gate"]["version"] == other
    assert detail["features"][0] == "los"
    listed = {entry["version"]: entry for entry in json.loads(run("list", "--json").stdout)}
    assert {name: entry["gate"] for name, entry in listed.items()} == {
        good.version: "gate passed",
        other: "gate passed",
        refused: "gate refused",
    }
    table = run("list").stdout
    assert re.search(rf"^\*  +{good.version} +2022-12-31 +8,000 ", table, flags=re.MULTILINE)
    assert re.search(rf"{refused} .*refused +changed since", table)


def test_a_refused_model_is_promoted_by_force_with_a_reason_only(
    instance: Settings, good: RiskModel, save: Save
) -> None:
    life.promote_candidate(instance, save(good))
    refused = save(bad(good))
    assert "The gate refuses" in run("promote", refused, code=3).stderr
    assert "needs a --reason" in run("promote", refused, "--force", code=1).stderr
    assert default_of(instance) == good.version
    run("promote", refused, "--force", "--reason", "new definitions go live tonight", "--who", "Ani")
    assert default_of(instance) == refused
    last = json.loads(run("log", "--json").stdout)[-1]
    assert (last["forced"], last["who"], last["reason"]) == (True, "Ani", "new definitions go live tonight")
    assert "FORCED past the gate" in run("log").stdout


def test_a_default_that_cannot_be_loaded_is_no_obstacle(
    instance: Settings, good: RiskModel, other_seed: RiskModel, save: Save
) -> None:
    life.promote_candidate(instance, save(good))
    (instance.models / good.version / "forest.npz").write_bytes(b"rubbish")
    assert "DAMAGED AND DEFAULT" in run("list", code=3).stdout
    report = life.judge_candidate(instance, save(other_seed))
    assert report.against == good.version
    assert "cannot be loaded" in report.notes[0]
    life.promote_candidate(instance, other_seed.version)
    assert default_of(instance) == other_seed.version


def test_training_anew_heals_an_altered_model(instance: Settings) -> None:
    version = life.train_default(instance).version
    (instance.models / version / "extra.pkl").write_bytes(b"x")
    assert life.why_train(instance) is not None
    assert life.train_default(instance).version == version
    assert life.why_train(instance) is None
    assert [path.name for path in instance.models.glob(f".{version}.damaged-*/extra.pkl")] == ["extra.pkl"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["show", "risk-none"], "there is no model risk-none; `python -m ml.pipelines.models list` shows"),
        (["promote", ""], "the version is empty"),
        (["judge", "default"], "there is no default model"),
        (["demote", "--reason", "x"], "No earlier default is in the log"),
        (["demote"], "A demotion needs a --reason"),
    ],
)
def test_errors_are_one_line_that_says_what_to_do(instance: Settings, arguments: list[str], said: str) -> None:
    error = re.sub(r"\x1b\[\d+m", "", run(*arguments, code=1).stderr)
    assert re.fullmatch(r"ERROR: .*\n", error)
    assert said in error


def test_an_empty_instance(instance: Settings) -> None:
    assert "No model yet. Train the first: python -m ml.pipelines.train_model" in run("list").stdout
    assert "nothing in the log yet" in run("log").stdout
    assert default_model(instance.models) is None
