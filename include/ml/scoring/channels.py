"""From a batch of claims' evidence to their scores, row by row: RULESET_v2's combination of channels.

A claim's score depends on its row, the model and the ruleset alone: any split of the claims, by batch, province or
month, gives the same scores, and one night's can be compared with another's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ml.model.anomaly import anomaly_matrix
from ml.model.artefact import ModelError, RiskModel
from ml.model.features import as_floats
from ml.rules import ANOMALY, EVIDENCE, Ruleset

Array = NDArray[np.float64]
Surprises = Mapping[str, Array]


@dataclass(frozen=True)
class ChannelScores:
    """Scores of some claims; each array has shape (claims,).

    Attributes:
        surprises: channel -> -log10 of how rare its evidence is, 0 or more; a typology's times its weight.
        anomaly_score: of the forest, 0..1 (Liu et al. 2008, eq. 2).
        anomaly: the anomaly channel's surprise, brought to 0..1 as risk_score is.
        typologies: the score of the typologies alone, without contexts and money, 0..1.
        risk: the score of all, 0..1; never below `typologies`.
    """

    surprises: Surprises
    anomaly_score: Array
    anomaly: Array
    typologies: Array
    risk: Array


def missing_scales(model: RiskModel, ruleset: Ruleset) -> list[str]:
    """Return the channels of a ruleset that a model has no scale for: it was trained before they were."""
    return [channel.code for channel in ruleset.channels if channel.code not in model.calibration.evidence]


def require_scales(model: RiskModel, ruleset: Ruleset) -> None:
    """Refuse a model that cannot score by a ruleset.

    Raises:
        ModelError: it has no scale for a channel of the ruleset.
    """
    if missing := missing_scales(model, ruleset):
        raise ModelError(
            f"model {model.version} has no scale for {', '.join(missing)} of {ruleset.version}: train one with "
            "python -m ml.pipelines.train_model or the DAG train_risk_model, or choose another RULESET_VERSION."
        )


def channel_scores(claims: pa.Table | pa.RecordBatch, model: RiskModel, ruleset: Ruleset) -> ChannelScores:
    """Score some claims.

    Args:
        claims: rows of claims_normalized, with the columns of `ml.scoring.by_channels.columns_of`.
        model: whose calibration and anomaly forest count.
        ruleset: one with channels.

    Raises:
        ModelError: the model has no scale for a channel of the ruleset.
    """
    require_scales(model, ruleset)
    anomaly_score = model.anomaly.anomaly_score(anomaly_matrix(claims))
    surprises = {}
    for channel in ruleset.channels:
        code = channel.code
        evidence = anomaly_score if code == ANOMALY else as_floats(claims.column(EVIDENCE + code))
        found = model.calibration.of(code, evidence)
        if channel.rank_alone_to is not None:
            found = np.minimum(found, _most_surprise(evidence, channel.rank_alone_to))
        surprises[code] = found * channel.weight if channel.role == "typology" else found
    return combine(surprises, ruleset, anomaly_score, as_floats(claims.column("excess_amount")))


def combine(surprises: Surprises, ruleset: Ruleset, anomaly_score: Array, excess_amount: Array) -> ChannelScores:
    """Combine surprises as the ruleset's `combination` says; rises with each of them, and with the money at stake.

    The largest typology leads; the others, the contexts and the money add to it, each only beyond what is common and
    only so much. Of typologies that read the same fact only the largest counts. Summed in the ruleset's order, so that
    the same claim has the same score bit for bit wherever it is scored.

    Args:
        surprises: channel -> as in `ChannelScores`; each array has shape (claims,), as the others.
        ruleset: one with channels.
        anomaly_score: of the forest, 0..1.
        excess_amount: rupiah, 0 or more.
    """
    limits = ruleset.thresholds
    none = np.zeros_like(anomaly_score)
    by_fact: dict[str, Array] = {}
    for channel in ruleset.channels:
        if channel.role == "typology":
            fact = channel.fact or channel.code
            by_fact[fact] = np.maximum(by_fact.get(fact, none), surprises[channel.code])
    lead, others = none, none
    for surprise in by_fact.values():
        # The smaller of the two is no leader: it counts among the others.
        others = others + _part(np.minimum(lead, surprise), limits["other_from"], limits["other_span"])
        lead = np.maximum(lead, surprise)
    full = limits["lead_full_to"]
    total = np.minimum(lead, full) + limits["lead_beyond"] * np.maximum(lead - full, 0.0)
    total = total + limits["other_share"] * others
    with_context = total
    for channel in ruleset.channels:
        if channel.role == "context":
            part = _part(surprises[channel.code], limits["context_from"], limits["context_span"])
            with_context = with_context + channel.weight * part
    least = limits["money_from"]
    powers_of_ten = np.log10(np.fmax(excess_amount, least) / least)  # fmax passes over missing money
    with_context = with_context + limits["money_share"] * np.minimum(powers_of_ten, limits["money_span"])
    half = limits["half_at"]
    typologies = _to_unit(total, half)
    return ChannelScores(
        surprises=surprises,
        anomaly_score=anomaly_score,
        anomaly=_to_unit(surprises.get(ANOMALY, none), half),
        typologies=typologies,
        # A quotient's last digit may fall where its parts rise by less.
        risk=np.maximum(_to_unit(with_context, half), typologies),
    )


def _most_surprise(evidence: Array, rank_alone_to: float) -> Array:
    """What evidence in nats may say at most: its rank among all claims where that is not rarer than `rank_alone_to`,
    beyond it only as much as the probability among its peers. Where few claims have any evidence of a kind, the most
    extreme one is rare among all claims whatever it is."""
    return np.asarray(np.fmax(evidence / np.log(10.0), rank_alone_to))  # fmax passes over missing evidence


def _part(surprise: Array, start: float, span: float) -> Array:
    return np.minimum(np.maximum(surprise - start, 0.0), span)


def _to_unit(total: Array, half_at: float) -> Array:
    return total / (total + half_at)
