"""Scores labelled sets with the night's own code and judges them beside baselines.

Ours is the given ruleset; the baselines are RULESET_v1, sorting by amount, and chance. For every set a model is trained
on its own claims, as an instance would do it, and others that differ in their seed alone, for the overlap.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from itertools import combinations
from pathlib import Path
from zlib import crc32

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ml.clock import now
from ml.evaluation import metrics
from ml.evaluation.figures import (
    AMOUNT,
    AP,
    AUC,
    BASELINE,
    BEST,
    OURS,
    OVERLAP,
    P50,
    P1000,
    P_BAD,
    RANDOM,
    RECALL,
    RECALL_OF,
    RULES_V1,
    V1_MEAN,
    V1_SUM,
    Evaluation,
    Figure,
    Plan,
    SetFacts,
)
from ml.evaluation.labelled import LabelledSet, make_labelled_set, own_settings
from ml.evaluation.providers import Floats, Providers, ProviderScorer, provider_scores
from ml.model.artefact import RiskModel
from ml.model.training import SEED, train
from ml.rules import Ruleset, load_ruleset
from ml.sample import GeneratorConfig
from ml.sample.config import Setting
from ml.scoring.score import score_claims
from ml.settings import Settings

log = logging.getLogger(__name__)


def score_set(
    labelled: LabelledSet,
    model: RiskModel,
    ruleset: Ruleset,
    folder: Path,
    *,
    threads: int = 2,
    memory_limit: str = "2GB",
) -> Floats:
    """Score a set as a night does, and return risk_score in the order of the labels, shape (claims,).

    Args:
        labelled: the set.
        model: the model to score with.
        ruleset: the ruleset to score with.
        folder: for the candidate; emptied first, and left to the caller.
        threads: the result does not depend on it.
        memory_limit: of DuckDB.

    Raises:
        RuntimeError: a claim has no score.
    """
    settings = own_settings(folder, threads=threads, memory_limit=memory_limit)
    candidate = score_claims(settings, labelled.claims, model, ruleset, folder, now())
    scored = pq.read_table(candidate.scores, columns=["claim_id", "risk_score"])
    places = pc.index_in(labelled.labels["claim_id"], value_set=scored["claim_id"].combine_chunks())
    if places.null_count:
        raise RuntimeError(f"{labelled.name}: {places.null_count:,} claims have no score from {ruleset.version}")
    return np.asarray(scored["risk_score"].take(places).to_numpy(), dtype=np.float64)


def evaluate(
    plan: Plan,
    work: Path,
    *,
    threads: int = 2,
    memory_limit: str = "2GB",
    provider_scorer: ProviderScorer = provider_scores,
) -> Evaluation:
    """Make (or reuse) every set of a plan, score it with everything there is, and take all figures.

    Args:
        plan: what to evaluate.
        work: keeps the sets, one folder each.
        threads: no figure depends on it.
        memory_limit: of DuckDB.
        provider_scorer: how our claims' scores become providers' scores.

    Raises:
        RulesetError: there is no such ruleset.
    """
    rulesets = {OURS: load_ruleset(plan.ruleset), RULES_V1: load_ruleset(BASELINE)}
    facts: list[SetFacts] = []
    figures: list[Figure] = []
    work.mkdir(parents=True, exist_ok=True)
    wanted = [(setting, seed) for setting in plan.settings for seed in plan.seeds]
    for number, (setting, seed) in enumerate(wanted, start=1):
        name = f"{setting}-{seed}"
        log.info("set %d of %d: %s", number, len(wanted), name)
        config = GeneratorConfig(claims=plan.claims, seed=seed).under(setting)
        folder = work / f"{name}-{plan.claims}"
        labelled = make_labelled_set(config, name, folder, threads=threads, memory_limit=memory_limit)
        with tempfile.TemporaryDirectory(prefix="scoring-", dir=work) as scratch:
            score = partial(score_set, folder=Path(scratch) / "it", threads=threads, memory_limit=memory_limit)
            limits = own_settings(Path(scratch), threads=threads, memory_limit=memory_limit)
            found = judge(labelled, rulesets, plan.models, score, limits, provider_scorer)
        facts.append(_facts(setting, seed, labelled, Providers.of(labelled)))
        figures += [Figure(setting, seed, *figure) for figure in found]
    return Evaluation(plan, tuple(facts), tuple(figures))


def judge(
    labelled: LabelledSet,
    rulesets: dict[str, Ruleset],
    models: int,
    score: Callable[..., Floats],
    settings: Settings,
    provider_scorer: ProviderScorer = provider_scores,
) -> list[tuple[str, str, str, float]]:
    """Take all figures of one set: level, scorer, measure and value, as in `Figure`.

    Args:
        labelled: the set.
        rulesets: ours and the one of before, by scorer (`OURS`, `RULES_V1`).
        models: how many models are trained on it.
        score: `score_set` with all but set, model and ruleset decided.
        settings: limits of the training, and where it spills.
        provider_scorer: how our claims' scores become providers' scores.
    """
    scores = _ruled_scores(labelled, rulesets, models, score, settings) | _plain_scores(labelled, models)
    providers = Providers.of(labelled)
    return [*_claim_figures(labelled, scores), *_provider_figures(labelled, providers, scores, provider_scorer)]


def _ruled_scores(
    labelled: LabelledSet,
    rulesets: dict[str, Ruleset],
    models: int,
    score: Callable[..., Floats],
    settings: Settings,
) -> dict[str, list[Floats]]:
    """The scores of every ruleset with each of the models; one that is both ours and the baseline is used once.

    The models see the same claims and differ in their seed; the first is the one that an instance would train.
    """
    versions = {ruleset.version: ruleset for ruleset in rulesets.values()}
    scores: dict[str, list[Floats]] = {version: [] for version in versions}
    for number in range(models):
        model = train(labelled.claims.path, labelled.claims.data_date, seed=SEED + number, settings=settings)
        for version, ruleset in versions.items():
            scores[version].append(score(labelled, model, ruleset))
    return {name: scores[ruleset.version] for name, ruleset in rulesets.items()}


def _plain_scores(labelled: LabelledSet, models: int) -> dict[str, list[Floats]]:
    """What needs no ruleset: the amount, chance, and the truth itself."""
    amounts = pq.read_table(labelled.claims.path, columns=["amount_claimed"])["amount_claimed"]
    amount = np.asarray(amounts.to_numpy(), dtype=np.float64)
    name = crc32(labelled.name.encode())
    chance = [np.random.default_rng([name, number]).random(len(amount)) for number in range(models)]
    return {AMOUNT: [amount] * models, RANDOM: chance, BEST: [_column(labelled, "is_fraud")]}


def _column(labelled: LabelledSet, name: str) -> Floats:
    return np.asarray(labelled.labels[name].to_numpy(), dtype=np.float64)


def _facts(setting: Setting, seed: int, labelled: LabelledSet, providers: Providers) -> SetFacts:
    frauds = int(_column(labelled, "is_fraud").sum())
    return SetFacts(setting, seed, labelled.claims.rows, frauds, len(providers.keys), int(providers.is_bad.sum()))


def _claim_figures(labelled: LabelledSet, scores: dict[str, list[Floats]]) -> Iterator[tuple[str, str, str, float]]:
    """Every measure of every scorer; all but the overlap are those of its first model."""
    fraud = _column(labelled, "is_fraud") > 0
    kinds = np.asarray(labelled.labels["fraud_type"].to_pylist(), dtype=np.str_)
    for scorer, of_models in scores.items():
        first = of_models[0]
        overlaps = [metrics.top_overlap(a, b, 1000) for a, b in combinations(of_models, 2)]
        measured = {
            P50: metrics.precision_at(first, fraud, 50),
            P1000: metrics.precision_at(first, fraud, 1000),
            AP: metrics.average_precision(first, fraud),
            RECALL: metrics.recall_in_top(first, fraud),
            OVERLAP: float(np.mean(overlaps)) if overlaps else float("nan"),
        }
        measured |= {RECALL_OF + kind: value for kind, value in metrics.recall_by_type(first, kinds).items()}
        yield from (("claims", scorer, measure, value) for measure, value in measured.items())


def _provider_figures(
    labelled: LabelledSet, providers: Providers, scores: dict[str, list[Floats]], provider_scorer: ProviderScorer
) -> Iterator[tuple[str, str, str, float]]:
    """AUC, P@50 and the precision among as many places as there are bad providers (at most 50)."""
    ranked = {
        OURS: providers.in_order(*provider_scorer(labelled, scores[OURS][0])),
        V1_SUM: providers.total(scores[RULES_V1][0]),
        V1_MEAN: providers.mean(scores[RULES_V1][0]),
        AMOUNT: providers.total(scores[AMOUNT][0]),
        RANDOM: np.random.default_rng(crc32(labelled.name.encode())).random(len(providers.keys)),
        BEST: providers.is_bad.astype(np.float64),
    }
    bad = int(providers.is_bad.sum())
    places = {P50: 50, P_BAD: min(50, bad)} if bad else {}
    for scorer, score in ranked.items():
        yield "providers", scorer, AUC, metrics.roc_auc(score, providers.is_bad)
        for measure, k in places.items():
            yield "providers", scorer, measure, metrics.precision_at(score, providers.is_bad, k)
