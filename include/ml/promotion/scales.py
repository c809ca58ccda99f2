"""Whether a model's scales of surprise mean what they say, on claims whose evidence is known.

Ranking alone does not tell: a scale learned from garbage can still put the right claims first, while every claim's
risk_score says something else than before, and lists by a threshold flood or dry up.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ml.model.artefact import RiskModel
from ml.model.calibration import learn_calibration
from ml.model.features import as_floats
from ml.promotion.report import Scale
from ml.rules import ANOMALY, EVIDENCE, Ruleset

RARE = 2.0
"""Decades from which a claim counts as rare: one in 100."""
LEAST_RARE = 20
"""So many rare claims the sets must have for a median to be told."""

Floats = NDArray[np.float64]


def scales_of(
    candidate: RiskModel, current: RiskModel | None, claims: Sequence[Path], ruleset: Ruleset
) -> tuple[Scale, ...]:
    """Measure the scale of every typology of a ruleset; none of a ruleset without channels.

    Contexts are left out: the providers of the sets are too few, and the anomaly's evidence is the model's own.

    Args:
        candidate: the model to measure.
        current: the one to compare with.
        claims: files of claims_normalized; all of them together are the truth.
        ruleset: whose channels count.
    """
    codes = [channel.code for channel in ruleset.channels if channel.role == "typology" and channel.code != ANOMALY]
    found = []
    for code in codes:
        evidence = np.concatenate([_evidence(path, code) for path in claims])
        truth = learn_calibration({code: evidence}).of(code, evidence)
        rare = truth >= RARE
        if rare.sum() < LEAST_RARE:
            continue
        values, true = evidence[rare], truth[rare]
        found.append(
            Scale(
                channel=code,
                candidate=_off(candidate, code, values, true),
                current=_off(current, code, values, true) if current else None,
                reaches=_reach(candidate, code),
            )
        )
    return tuple(found)


def _evidence(claims: Path, code: str) -> Floats:
    return as_floats(pq.read_table(claims, columns=[EVIDENCE + code])[EVIDENCE + code])


def _off(model: RiskModel, code: str, evidence: Floats, truth: Floats) -> float:
    if code not in model.calibration.evidence:  # a model of a ruleset without this channel: all of it is news
        return float(np.median(-truth))
    return float(np.median(model.calibration.of(code, evidence) - truth))


def _reach(model: RiskModel, code: str) -> float:
    heights = model.calibration.surprise.get(code)
    return float(heights[-1]) if heights is not None and len(heights) else 0.0
