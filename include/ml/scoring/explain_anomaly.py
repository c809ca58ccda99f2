"""Why the anomaly channel's forest finds a claim odd: how much of its score goes when a figure is made ordinary.

A statement about this model, not about cause; each figure it names is the claim's own against its peers'.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ml.model.anomaly import ANOMALY_COLUMNS, FEATURES, anomaly_matrix
from ml.model.artefact import RiskModel

ORDINARY = 0.0
"""What every feature of `ml.model.anomaly` is where there is nothing odd."""
NAMED = 2
NAMED_SHARE = 0.3
"""The second figure is named only with at least this share of the first one's drop; less is hardly a reason."""

COUNTS = ("los", "comorbidity_count", "procedure_count", "readmission_after_days")
"""What the sentences name besides the features themselves."""

Row = Mapping[str, object]
Words = tuple[str, str]


def anomaly_drops(claims: pa.Table, model: RiskModel) -> NDArray[np.float64]:
    """Return how much of the anomaly score goes with each feature, shape (claims, features)."""
    matrix = anomaly_matrix(claims)
    score = model.anomaly.anomaly_score(matrix)
    drops = np.empty(matrix.shape, dtype=np.float64)
    for index in range(matrix.shape[1]):
        own = matrix[:, index].copy()
        matrix[:, index] = ORDINARY
        drops[:, index] = score - model.anomaly.anomaly_score(matrix)
        matrix[:, index] = own
    return drops


def anomaly_reasons(claims: pa.Table, model: RiskModel) -> pa.Table:
    """Explain the anomaly channel's score of some claims.

    Args:
        claims: the columns that scoring reads, and `surprise_anomaly`.
        model: the model that scored them.

    Returns:
        One row a claim: claim_id, code, strength, text_id, text_en, figures (JSON: the drop that goes with each named
        figure, and the figure).
    """
    drops = anomaly_drops(claims, model)
    order = np.argsort(-drops, axis=1, kind="stable")[:, :NAMED]
    named = np.take_along_axis(drops, order, axis=1)
    is_named = (named > 0) & (named >= NAMED_SHARE * named[:, :1])
    names = list(FEATURES)
    texts, figures = [], []
    rows = claims.select([*ANOMALY_COLUMNS, *COUNTS]).to_pylist()
    for row, places, drop, said in zip(rows, order.tolist(), named.tolist(), is_named.tolist(), strict=True):
        chosen = [(names[place], size) for place, size, yes in zip(places, drop, said, strict=True) if yes]
        texts.append(_sentence([name for name, _ in chosen], row))
        figures.append(
            json.dumps({name: {"drop": round(size, 6), "value": row[FEATURES[name][0]]} for name, size in chosen})
        )
    return pa.table(
        {
            "claim_id": claims.column("claim_id"),
            "code": pa.array(["anomaly"] * claims.num_rows, pa.string()),
            "strength": claims.column("surprise_anomaly"),
            "text_id": pa.array([text[0] for text in texts], pa.string()),
            "text_en": pa.array([text[1] for text in texts], pa.string()),
            "figures": pa.array(figures, pa.string()),
        }
    )


def _sentence(features: list[str], row: Row) -> Words:
    words = [_WORDS[name](row) for name in features] or [("kombinasi beberapa besaran", "a combination of figures")]
    return (
        "gabungan besaran yang tidak lazim: " + "; ".join(word[0] for word in words),
        "an unusual combination of figures: " + "; ".join(word[1] for word in words),
    )


def _number(row: Row, column: str) -> float:
    return float(str(row[column]))


def _times(row: Row, column: str) -> Words:
    english = f"{np.exp(_number(row, column)):.1f}x"
    return english.replace(".", ","), english


def _percent(share: float) -> Words:
    english = "<0.1%" if share < 0.001 else f"{100 * share:.1f}%"
    return english.replace(".", ","), english


def _share_words(column: str, indonesian: str, english: str, *, rest: bool = False) -> Callable[[Row], Words]:
    def words(row: Row) -> Words:
        share = _number(row, column)
        percent = _percent(1.0 - share if rest else share)
        return indonesian.format(percent[0], **row), english.format(percent[1], **row)

    return words


def _price_words(row: Row) -> Words:
    times = _times(row, "price_ln_ratio")
    return f"tagihan {times[0]} median klaim sejenis", f"billed {times[1]} the median of similar claims"


def _tariff_words(row: Row) -> Words:
    times = _times(row, "tariff_ln_ratio")
    return f"tagihan {times[0]} tarif INA-CBG-nya sendiri", f"billed {times[1]} its own INA-CBG tariff"


_WORDS: dict[str, Callable[[Row], Words]] = {
    "price": _price_words,
    "tariff": _tariff_words,
    "short_stay": _share_words(
        "los_share_low", "LOS {los} hari, {} yang sejenis sesingkat ini", "LOS {los} days, {} of similar stays as short"
    ),
    "long_stay": _share_words(
        "los_share_low",
        "LOS {los} hari, {} yang sejenis selama ini",
        "LOS {los} days, {} of similar stays as long",
        rest=True,
    ),
    "severity": _share_words(
        "severity_share",
        "keparahan setinggi ini wajar pada {} rawat inap selama itu",
        "so severe would be expected of {} of stays that long",
    ),
    "admission": _share_words(
        "admission_share",
        "{} klaim dengan diagnosis masuk itu ditagih dengan INA-CBG ini",
        "{} of claims with that admission diagnosis are billed as this INA-CBG",
    ),
    "topup": _share_words("topup_share", "top-up dimiliki {} klaim sejenis", "top-up that {} of similar claims have"),
    "comorbidity": _share_words(
        "comorbidity_share",
        "{comorbidity_count} diagnosis sekunder, {} yang sejenis sebanyak ini",
        "{comorbidity_count} secondary diagnoses, {} of similar claims have as many",
    ),
    "procedures": _share_words(
        "procedure_share",
        "{procedure_count} tindakan, {} yang sejenis sebanyak ini",
        "{procedure_count} procedures, {} of similar claims have as many",
    ),
    "readmission": _share_words(
        "readmission_share",
        "masuk lagi {readmission_after_days} hari setelah pulang, lazim pada {} rawat inap sejenis",
        "readmitted {readmission_after_days} days after a discharge, usual for {} of similar stays",
    ),
}
