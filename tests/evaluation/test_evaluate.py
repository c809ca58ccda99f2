"""The figures are of the night's own scores, claim by claim, and the command turns them into table and plot."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from math import nan
from pathlib import Path

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest
import typer
from typer.testing import CliRunner

from ml.clock import now
from ml.evaluation import evaluate as module
from ml.evaluation.evaluate import evaluate, score_set
from ml.evaluation.figures import (
    AMOUNT,
    AP,
    AUC,
    BEST,
    OURS,
    OVERLAP,
    P50,
    P1000,
    P_BAD,
    RANDOM,
    RECALL,
    RULES_V1,
    Evaluation,
    Figure,
    Plan,
    SetFacts,
)
from ml.evaluation.labelled import LabelledSet, make_labelled_set, own_settings
from ml.evaluation.metrics import average_precision
from ml.evaluation.plot import draw
from ml.evaluation.providers import Floats, Keys, Providers, provider_scores
from ml.evaluation.report import spread, write_report
from ml.model.artefact import RiskModel
from ml.model.training import train
from ml.pipelines import evaluate as command
from ml.rules import RulesetError, load_ruleset
from ml.sample import FRAUD_TYPES, GeneratorConfig
from ml.sample.config import Setting
from ml.scoring.score import score_claims
from ml.settings import PROJECT_ROOT

CLAIMS = 3_000
PLAN = Plan((Setting.NOISY, Setting.SPORADIC), (11,), CLAIMS, models=2)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="module", autouse=True)
def _bad_providers() -> Iterator[None]:
    """Of the seven providers of a tiny sample the usual 3% would be none."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "GeneratorConfig", partial(GeneratorConfig, bad_provider_share=0.3))
        yield


@pytest.fixture(scope="module")
def labelled(work: Path) -> LabelledSet:
    config = GeneratorConfig(claims=CLAIMS, seed=11, bad_provider_share=0.3).noisy()
    return make_labelled_set(config, "noisy-11", work / f"noisy-11-{CLAIMS}")


@pytest.fixture(scope="module")
def model(labelled: LabelledSet) -> RiskModel:
    return train(labelled.claims.path, labelled.claims.data_date)


@pytest.fixture(scope="module")
def evaluation(labelled: LabelledSet, work: Path) -> Evaluation:
    return evaluate(PLAN, work)


def test_scores_stand_in_the_order_of_the_labels(labelled: LabelledSet, model: RiskModel, tmp_path: Path) -> None:
    """Turns red when the scores keep an order of their own: here the labels stand backwards."""
    ruleset = load_ruleset(PLAN.ruleset)
    backwards = replace(labelled, labels=labelled.labels.take(list(range(CLAIMS))[::-1]))
    scores = score_set(backwards, model, ruleset, tmp_path / "a", threads=1)
    candidate = score_claims(own_settings(tmp_path), labelled.claims, model, ruleset, tmp_path / "b", now())
    of_claim = {row["claim_id"]: row["risk_score"] for row in pq.read_table(candidate.scores).to_pylist()}
    assert scores.tolist() == [of_claim[claim_id] for claim_id in backwards.labels["claim_id"].to_pylist()]
    assert len(set(of_claim.values())) > 100


def test_a_claim_without_score_is_an_error(labelled: LabelledSet, model: RiskModel, tmp_path: Path) -> None:
    other = make_labelled_set(GeneratorConfig(claims=200, seed=5), "other", tmp_path / "other")
    mixed = replace(labelled, labels=other.labels)
    with pytest.raises(RuntimeError, match="noisy-11: 200 claims have no score"):
        score_set(mixed, model, load_ruleset("RULESET_v1"), tmp_path / "scores")


def test_figures_are_those_of_the_first_model(
    labelled: LabelledSet, model: RiskModel, evaluation: Evaluation, tmp_path: Path
) -> None:
    """By plain sorting, where no claim ties with the one on the edge."""
    rows = pq.read_table(labelled.claims.path, columns=["claim_id", "amount_claimed"]).to_pylist()
    fraud = dict(zip(labelled.labels["claim_id"].to_pylist(), labelled.labels["is_fraud"].to_pylist(), strict=True))
    dearest = sorted(rows, key=lambda row: -row["amount_claimed"])
    assert dearest[49]["amount_claimed"] > dearest[50]["amount_claimed"]
    expected = sum(fraud[row["claim_id"]] for row in dearest[:50]) / 50
    assert evaluation.values("claims", AMOUNT, P50, Setting.NOISY) == [pytest.approx(expected)]
    scores = score_set(labelled, model, load_ruleset(PLAN.ruleset), tmp_path / "scores")
    found = average_precision(scores, labelled.labels["is_fraud"].to_numpy())
    assert evaluation.values("claims", OURS, AP, Setting.NOISY) == [found]


def test_every_scorer_stands_beside_the_best_possible(evaluation: Evaluation) -> None:
    for scorer in (OURS, RULES_V1, AMOUNT, RANDOM):
        for measure in (P50, P1000, AP, RECALL):
            for mine, best in zip(*(evaluation.values("claims", s, measure) for s in (scorer, BEST)), strict=True):
                assert 0 <= mine <= best <= 1
    facts = evaluation.sets[0]
    assert evaluation.values("claims", BEST, P1000, Setting.NOISY) == [pytest.approx(facts.frauds / 1_000)]
    assert evaluation.values("claims", BEST, AP) == [1.0, 1.0]


def test_models_differ_in_their_seed_and_the_amount_in_nothing(evaluation: Evaluation) -> None:
    """At 3,000 claims chance alone shares a third of the top 1,000."""
    assert evaluation.values("claims", AMOUNT, OVERLAP) == [1.0, 1.0]
    ours = evaluation.values("claims", OURS, OVERLAP)
    assert 0.5 < min(ours) < 1, "the seed changes something, and not much"
    assert all(0.2 < value < 0.45 for value in evaluation.values("claims", RANDOM, OVERLAP))


def test_one_ruleset_is_scored_once_when_it_is_ours_and_the_baseline(
    labelled: LabelledSet, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored: list[tuple[str, int]] = []

    def remembered(of: LabelledSet, model: RiskModel, ruleset: object, **_options: object) -> Floats:
        scored.append((ruleset.version, model.training["seed"]))  # type: ignore[attr-defined]
        return np.arange(of.claims.rows, dtype=float)

    monkeypatch.setattr(module, "score_set", remembered)
    monkeypatch.setattr(module, "train", lambda *args, seed, settings: replace(train(*args), training={"seed": seed}))
    evaluate(replace(PLAN, settings=(Setting.NOISY,), ruleset="RULESET_v1", models=3), work)
    assert [version for version, _ in scored] == ["RULESET_v1"] * 3
    assert len({seed for _, seed in scored}) == 3


def test_an_unknown_ruleset_is_refused_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(RulesetError, match="RULESET_v0"):
        evaluate(replace(PLAN, ruleset="RULESET_v0"), tmp_path / "work")
    assert not (tmp_path / "work").exists()


def test_providers_are_rolled_up_and_labelled(labelled: LabelledSet) -> None:
    providers = Providers.of(labelled)
    facility = labelled.labels["facility"].to_pylist()
    bad = {key for key, is_bad in zip(facility, labelled.labels["is_bad_provider"].to_pylist(), strict=True) if is_bad}
    assert bad
    assert providers.keys.tolist() == sorted(set(facility))
    assert providers.is_bad.tolist() == [key in bad for key in providers.keys.tolist()]
    assert providers.claims.tolist() == [facility.count(key) for key in providers.keys.tolist()]
    ones = np.ones(CLAIMS)
    assert providers.total(ones).tolist() == providers.claims.tolist()
    assert providers.mean(ones).tolist() == [1.0] * len(providers.keys)


def test_the_provider_score_is_the_published_one(labelled: LabelledSet) -> None:
    """Read another way: by SQL, from the struct that `provider_risk` of a release is made of."""
    keys, scores = provider_scores(labelled, np.zeros(CLAIMS))
    query = f"SELECT DISTINCT facility_key, provider.risk_score FROM '{labelled.claims.path}'"
    assert dict(zip(keys.tolist(), scores.tolist(), strict=True)) == dict(duckdb.sql(query).fetchall())
    assert Providers.of(labelled).in_order(keys, scores).tolist() == scores.tolist()


def test_another_provider_score_can_be_put_in(labelled: LabelledSet, work: Path) -> None:
    """Keys in another order, and a perfect score: both AUC and P@bad are 1."""

    def perfect(of: LabelledSet, scores: Floats) -> tuple[Keys, Floats]:
        assert scores.shape == (of.claims.rows,)
        providers = Providers.of(of)
        return providers.keys[::-1], providers.is_bad[::-1].astype(float)

    found = evaluate(replace(PLAN, settings=(Setting.NOISY,), models=1), work, provider_scorer=perfect)
    assert found.values("providers", OURS, AUC) == [1.0]
    assert found.values("providers", OURS, P_BAD) == [1.0]
    assert found.values("claims", OURS, OVERLAP) == []  # of a single forest there is none


def test_scores_of_other_providers_are_refused(labelled: LabelledSet) -> None:
    providers = Providers.of(labelled)
    with pytest.raises(ValueError, match="do not fit"):
        providers.in_order(providers.keys[1:], np.ones(len(providers.keys) - 1))


def test_without_bad_providers_there_are_no_provider_figures(evaluation: Evaluation) -> None:
    assert evaluation.sets[1].bad_providers == 0
    assert evaluation.values("providers", OURS, AUC, Setting.SPORADIC) == []
    assert "| sporadic | **ours** |" not in write_report(evaluation, "p.svg", "c").split("## Providers")[1]


def handmade(seeds: tuple[int, ...], *values: float) -> Evaluation:
    plan = Plan((Setting.NOISY,), seeds, models=2)
    sets = tuple(SetFacts(Setting.NOISY, seed, 100, 10, 5, 0) for seed in seeds)
    figures = [Figure(Setting.NOISY, s, "claims", OURS, P50, v) for s, v in zip(seeds, values, strict=True)]
    figures += [Figure(Setting.NOISY, s, "claims", AMOUNT, P50, 0.5) for s in seeds]
    return Evaluation(plan, sets, tuple(figures))


def test_mean_and_spread_by_hand() -> None:
    assert spread([0.5, 0.7, 0.9]) == "0.70 ± 0.20"
    assert (spread([0.25]), spread([])) == ("0.25", "–")
    assert handmade((11, 12, 13), 0.5, nan, 0.7).values("claims", OURS, P50) == [0.5, 0.7]


def test_the_document_counts_the_sets_in_which_ours_is_ahead() -> None:
    text = write_report(handmade((11, 12, 13), 0.4, 0.5, 0.9), "p.svg", "c")
    assert re.search(r"^\| amount \| 1 of 3 \|", text, flags=re.MULTILINE)
    assert "| noisy | **ours** | 0.60 ± 0.26 |" in text


def test_the_document_says_which_sets_were_tuned_on() -> None:
    assert "**Not for judging: noisy-2 were tuned on.**" in write_report(handmade((2, 11), 0.5, 0.5), "p.svg", "c")
    assert "Not for judging" not in write_report(handmade((11, 12), 0.5, 0.5), "p.svg", "c")


def test_the_document_in_docs_has_the_words_of_the_report() -> None:
    """What the report says besides figures, with the plan that is reported on."""
    plan = Plan()
    sets = tuple(SetFacts(setting, seed, plan.claims, 10, 5, 0) for setting in plan.settings for seed in plan.seeds)
    written = (PROJECT_ROOT / "docs" / "evaluation.md").read_text()
    report = write_report(Evaluation(plan, sets, ()), "images/evaluation.svg", "c").split("\n\n")
    words = [part for part in report if not part.startswith(("Made by", "| ", "Python "))]
    assert [part for part in words if part not in written] == []
    assert (
        "seeds 1, 2, 31.\n- Weights and bounds were chosen on labelled sets of generators that other hands" in written
    )


def run(work: Path, target: Path, *more: str) -> str:
    arguments = ["--claims", str(CLAIMS), "--seeds", "11,12", "--settings", "noisy,sporadic", "--models", "2"]
    arguments += ["--work", str(work), "--out", str(target / "evaluation.md")]
    app = typer.Typer()
    app.command()(command.main)
    done = CliRunner().invoke(app, [*arguments, "--plot", str(target / "images" / "evaluation.svg"), *more])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_command_writes_table_and_plot_and_the_same_arguments_give_the_same_bytes(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second run makes its sets anew, elsewhere, with one thread."""
    told = run(work, tmp_path / "first")
    monkeypatch.setenv("CLAIMS_THREADS", "1")
    document = json.loads(run(tmp_path / "sets", tmp_path / "second", "--json"))
    for name in ("evaluation.md", "images/evaluation.svg"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()
    text = (tmp_path / "first" / "evaluation.md").read_text()
    assert f"4 sets of 3,000 claims, {PLAN.ruleset}" in told
    assert "](images/evaluation.svg)" in text
    called = "evaluate --claims 3000 --seeds 11,12 --settings noisy,sporadic --models 2"
    assert f"{called} --ruleset {PLAN.ruleset}`" in text
    assert str(tmp_path) not in text
    assert all(kind.replace("_", " ") in text for kind in FRAUD_TYPES)
    assert not re.search(r"\b20\d\d-\d\d", text), "a date would make every run another document"
    assert (tmp_path / "first" / "images" / "evaluation.svg").read_text().count("sporadic") >= 2
    ours = [f for f in document["figures"] if (f["scorer"], f["level"]) == (OURS, "claims")]
    cells = [spread([f["value"] for f in ours if f["measure"] == measure]) for measure in (P50, P1000, AP, RECALL)]
    assert f"| **ours** | {' | '.join(cells)} |" in text
    assert None in [figure["value"] for figure in document["figures"]]  # no AUC without bad providers


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seeds", "11..x"], "names no seed"),
        (["--seeds", "15..11"], "names no seed"),
        (["--settings", "clean,wild"], "'wild' is not a valid Setting; known: default"),
        (["--plot", "plot.gif"], "a plot ends in .svg or .png"),
        (["--ruleset", "RULESET_v0"], "there is no such ruleset. Known: RULESET_v1"),
    ],
)
def test_wrong_arguments_are_refused_in_one_line(tmp_path: Path, arguments: list[str], message: str) -> None:
    app = typer.Typer()
    app.command()(command.main)
    out = ["--out", str(tmp_path / "x.md"), "--plot", str(tmp_path / "x.svg"), "--work", str(tmp_path / "work")]
    done = CliRunner().invoke(app, [*out, *arguments], env={"COLUMNS": "300"})
    assert done.exit_code in (1, 2)
    assert message in done.output
    assert list(tmp_path.iterdir()) == []


def test_a_missing_library_is_named_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    app = typer.Typer()
    app.command()(command.main)
    done = CliRunner().invoke(app, ["--out", str(tmp_path / "x.md"), "--work", str(tmp_path / "work")])
    assert done.exit_code == 1
    assert "vl_convert is missing: the plot needs the extra `dev`" in done.output
    assert list(tmp_path.iterdir()) == []


def test_seeds_are_ranges_and_single_ones() -> None:
    assert command._seeds("11..13, 20,12") == (11, 12, 13, 20)


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_the_plot_is_drawn_in_both_formats(evaluation: Evaluation, tmp_path: Path, suffix: str) -> None:
    draw(evaluation, tmp_path / f"plot{suffix}")
    assert (tmp_path / f"plot{suffix}").read_bytes()[:4] == {".png": b"\x89PNG", ".svg": b"<svg"}[suffix]
