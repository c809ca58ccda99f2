"""What a candidate would change on the newest claims: they have no labels, so it is told, not judged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ml.claims.etl import ClaimsFile
from ml.clock import now
from ml.evaluation.metrics import top_overlap
from ml.model.artefact import RiskModel
from ml.promotion.report import Newest
from ml.rules import Ruleset
from ml.scoring.score import score_claims
from ml.settings import Settings

BINS = np.linspace(0.0, 1.0, 41)
LONG_LIST = 1_000

Floats = NDArray[np.float64]


def compare_on_newest(
    settings: Settings, claims: ClaimsFile, candidate: RiskModel, current: RiskModel, ruleset: Ruleset, folder: Path
) -> Newest:
    """Score some claims with both models, as a night does, and compare the scores.

    Args:
        settings: limits, and the length of the auditors' list.
        claims: e.g. the newest.
        candidate: the model after.
        current: the model before.
        ruleset: the one that scoring uses.
        folder: for what is scored; emptied first.
    """
    before, after = (_risk(settings, claims, model, ruleset, folder) for model in (current, candidate))
    return Newest(
        data_date=claims.data_date,
        claims=len(before),
        overlap={k: top_overlap(before, after, k) for k in sorted({settings.top_k, LONG_LIST})},
        score_shift=jensen_shannon(before, after),
        above_half_before=float((before > 0.5).mean()),
        above_half_after=float((after > 0.5).mean()),
    )


def jensen_shannon(a: Floats, b: Floats) -> float:
    """Return the Jensen-Shannon distance (base 2, 0..1) of two sets of scores in 0..1, in bins of 0.025."""
    shares = [np.histogram(values, BINS)[0] / len(values) for values in (a, b)]
    middle = (shares[0] + shares[1]) / 2

    def divergence(share: Floats) -> float:
        some = share > 0
        return float((share[some] * np.log2(share[some] / middle[some])).sum())

    return float(np.sqrt(max(0.0, sum(map(divergence, shares)) / 2)))


def _risk(settings: Settings, claims: ClaimsFile, model: RiskModel, ruleset: Ruleset, folder: Path) -> Floats:
    """risk_score in the order of the claim ids: the order of the result is the ruleset's own."""
    scores = score_claims(settings, claims, model, ruleset, folder, now()).scores
    table = pq.read_table(scores, columns=["claim_id", "risk_score"]).sort_by("claim_id")
    return np.asarray(table["risk_score"].to_numpy(), dtype=np.float64)
