"""The gate: whether a model may become the default, measured on labelled synthetic sets and the newest claims.

The sets are neither those that features and rulesets were tuned on nor those of docs/evaluation.md. They are scored by
the code of the night, and kept in `work/gate` of the instance.
"""

from __future__ import annotations

import hashlib
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ml.claims.etl import ClaimsFile
from ml.clock import now
from ml.evaluation import metrics
from ml.evaluation.evaluate import score_set
from ml.evaluation.labelled import MADE_BY, LabelledSet, make_labelled_set
from ml.files import sha256_of
from ml.model.artefact import RiskModel
from ml.model.training import changed_definitions
from ml.promotion.newest import compare_on_newest
from ml.promotion.report import (
    MEASURES,
    SCALE_TOLERANCE,
    GateReport,
    Measure,
    Quality,
    Scale,
    SetFigures,
    blank_scales,
    refusals_of,
)
from ml.promotion.scales import scales_of
from ml.rules import Ruleset
from ml.sample import GeneratorConfig
from ml.sample.config import Setting
from ml.settings import Settings
from ml.sql import SQL_ROOT

log = logging.getLogger(__name__)

Floats = NDArray[np.float64]

SET_CLAIMS = 20_000
SETS = ((Setting.NOISY, 42), (Setting.SPORADIC, 41), (Setting.CLEAN, 41), (Setting.SHIFTED, 42))
FIRST_SETS = SETS[:2]
"""An instance's first model has nobody to be compared with; two sets tell it from garbage, in half the time."""

TOLERANCES = {
    True: {"average_precision": 0.037, "precision_at_50": 0.048, "precision_in_top_1_percent": 0.039},
    False: {"average_precision": 0.005, "precision_at_50": 0.03, "precision_in_top_1_percent": 0.009},
}
"""Whether the ruleset has channels -> by how much a measure may be lower than the current model's.

Twice the standard deviation of the difference between two models that differ in nothing but their 50,000 training
claims (another seed of the generator, eight of them): benchmarks/bench_gate.py measures it.
"""
FEW_CLAIMS = 10_000
VERY_FEW_CLAIMS = 1_000
"""Fewer may lack evidence of most kinds by chance."""
DECIDED_BY = (*MADE_BY, "ml/scoring", "sql/scoring", "ml/model", "sql/model", "ml/promotion", "ml/evaluation")
"""Folders under `include` that the gate's figures depend on, besides the ruleset."""


def conditions(ruleset: Ruleset) -> str:
    """Return the hash of what the gate's word holds for: it must judge anew when code or ruleset have changed."""
    digest = hashlib.sha256(f"{ruleset.version} {ruleset.sha256}".encode())
    include = SQL_ROOT.parent
    for folder in DECIDED_BY:
        for path in sorted((include / folder).rglob("*")):
            if path.suffix in (".py", ".sql", ".json"):
                digest.update(f"{path.relative_to(include)} {sha256_of(path)}".encode())
    return digest.hexdigest()[:16]


def judge(
    candidate: RiskModel,
    current: RiskModel | None,
    settings: Settings,
    ruleset: Ruleset,
    *,
    newest: ClaimsFile | None = None,
    against: str | None = None,
    is_yardstick: bool = True,
    notes: tuple[str, ...] = (),
) -> GateReport:
    """Judge a candidate.

    Args:
        candidate: the model that wants to become the default.
        current: the default; None when there is none that can be used.
        settings: limits, and where the sets are kept.
        ruleset: the one that scoring uses.
        newest: claims of the instance on which to tell what would change; None leaves it out.
        against: the default's version, also where it cannot be loaded.
        is_yardstick: whether the candidate must not be worse than the default; without one it is judged as a first
            model is.
        notes: to be told with the report.
    """
    default, current = current, current if is_yardstick else None
    measured = [_measured(labelled, candidate, current, settings, ruleset) for labelled in _sets(settings, current)]
    sets = tuple(figures for figures, _ in measured)
    scales = scales_of(candidate, current, [labelled.claims.path for _, labelled in measured], ruleset)
    has_channels = bool(ruleset.channels)
    measures = tuple(_measure(name, sets, TOLERANCES[has_channels][name]) for name in MEASURES)
    changed = changed_definitions(candidate)
    shift = None
    if newest and default:
        with _scratch(settings) as folder:
            shift = compare_on_newest(settings, newest, candidate, default, ruleset, folder)
    return GateReport(
        version=candidate.version,
        against=against or (default.version if default else None),
        ruleset=ruleset.version,
        judged_at=now(),
        conditions=conditions(ruleset),
        sets=sets,
        measures=measures,
        scales=scales,
        newest=shift,
        # RULESET_v1's own formula finds less than sorting by amount (docs/evaluation.md): no model can mend that.
        refusals=refusals_of(
            measures,
            scales,
            changed,
            beats_amount=has_channels,
            first_of_few=against is None and current is None and _rows(candidate) < VERY_FEW_CLAIMS,
        ),
        notes=(*notes, *_notes(candidate, scales, current)),
    )


def _rows(candidate: RiskModel) -> int:
    return int(candidate.training.get("calibration_rows", 0))


def _notes(candidate: RiskModel, scales: tuple[Scale, ...], current: RiskModel | None) -> Iterator[str]:
    rows = _rows(candidate)
    if rows < FEW_CLAIMS:
        yield f"trained on {rows:,} claims only: what is rarer than one in {rows:,} is a guess"
        if blank := blank_scales(scales):
            yield f"they gave no scale for {', '.join(blank)}: train anew when there are more"
    off = [f"{each.channel} {each.candidate:+.2f}" for each in scales if abs(each.candidate) > SCALE_TOLERANCE]
    if current is None and off:
        yield (
            f"on generated claims its scales are off by decades of rarity: {', '.join(off)}; look whether its training "
            "claims are complete"
        )


def _sets(settings: Settings, current: RiskModel | None) -> Iterator[LabelledSet]:
    """The labelled sets, made on first use; a few seconds each."""
    for setting, seed in SETS if current else FIRST_SETS:
        name = f"{setting}-{seed}"
        config = GeneratorConfig(claims=SET_CLAIMS, seed=seed).under(setting)
        log.info("gate: labelled set %s, %d claims", name, SET_CLAIMS)
        yield make_labelled_set(
            config, name, settings.work / "gate" / name, threads=settings.threads, memory_limit=settings.memory_limit
        )


def _measured(
    labelled: LabelledSet, candidate: RiskModel, current: RiskModel | None, settings: Settings, ruleset: Ruleset
) -> tuple[SetFigures, LabelledSet]:
    fraud = np.asarray(labelled.labels["is_fraud"].to_numpy(), dtype=np.bool_)
    amounts = pq.read_table(labelled.claims.path, columns=["amount_claimed"])["amount_claimed"]

    def quality_of(model: RiskModel) -> Quality:
        with _scratch(settings) as folder:
            scores = score_set(
                labelled, model, ruleset, folder, threads=settings.threads, memory_limit=settings.memory_limit
            )
        return _quality(scores, fraud)

    figures = SetFigures(
        name=labelled.name,
        claims=labelled.claims.rows,
        fraud_share=float(fraud.mean()),
        candidate=quality_of(candidate),
        current=quality_of(current) if current else None,
        amount=_quality(np.asarray(amounts.to_numpy(), dtype=np.float64), fraud),
    )
    return figures, labelled


def _quality(scores: Floats, fraud: NDArray[np.bool_]) -> Quality:
    return Quality(
        average_precision=metrics.average_precision(scores, fraud),
        precision_at_50=metrics.precision_at(scores, fraud, 50),
        precision_in_top_1_percent=metrics.precision_at(scores, fraud, metrics.top_count(len(scores), 0.01)),
    )


def _measure(name: str, sets: tuple[SetFigures, ...], tolerance: float) -> Measure:
    current = [getattr(each.current, name) for each in sets if each.current]
    return Measure(
        name=name,
        candidate=float(np.mean([getattr(each.candidate, name) for each in sets])),
        current=float(np.mean(current)) if current else None,
        amount=float(np.mean([getattr(each.amount, name) for each in sets])),
        chance=float(np.mean([each.fraud_share for each in sets])),
        tolerance=tolerance,
    )


@contextmanager
def _scratch(settings: Settings) -> Iterator[Path]:
    folder = settings.work / "gate"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="scoring-", dir=folder) as name:
        yield Path(name) / "it"
