"""Why the forest finds a claim odd: how much of its score goes when a group of figures is made ordinary.

A group's share is the drop of ml_score when its figures are replaced by those of the claim's peers (cost) or by the
median claim of its service type (the rest). That is a statement about this model, not about cause.
"""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ml.model.artefact import RiskModel
from ml.model.features import CATEGORICAL, NUMERIC, as_floats

Columns = dict[str, pa.Array]


REASONS_SCHEMA = pa.schema(
    [
        ("claim_id", pa.string()),
        ("code", pa.string()),
        ("strength", pa.float64()),
        ("text_id", pa.string()),
        ("text_en", pa.string()),
        ("figures", pa.string()),
    ]
)

_GROUPS = ("cost", "los", "comorbidity", "case_cost", "place")


def ml_reasons(claims: pa.Table, model: RiskModel) -> pa.Table:
    """Explain the forest's score of some claims.

    Args:
        claims: the columns of `include/sql/scoring/30_to_explain.sql`.
        model: the model that scored them.

    Returns:
        One row a claim that has an explanation: claim_id, code, strength (its ml_score_normalized), text_id, text_en,
        figures (JSON object).
    """
    claims = claims.combine_chunks()
    base = model.forest.ml_score(model.features.matrix(claims))
    ordinary = {group: _made_ordinary(claims, group, model) for group in _GROUPS}
    drops = {group: base - model.forest.ml_score(model.features.matrix(table)) for group, table in ordinary.items()}
    rows = claims.to_pylist()
    listed = []
    for index, row in enumerate(rows):
        shares = sorted(((float(drop[index]), group) for group, drop in drops.items()), reverse=True)
        leading = [group for drop, group in shares[:2] if drop > 0 and drop >= 0.3 * shares[0][0]]
        if not leading:
            continue
        words = [_words(group, row, model) for group in leading]
        figures = {f"drop_{group}": round(drop, 6) for drop, group in shares}
        listed.append(
            {
                "claim_id": row["claim_id"],
                "code": "ml_anomaly",
                "strength": row["ml_score_normalized"],
                "text_id": "model menilai tidak lazim: " + "; ".join(word[0] for word in words),
                "text_en": "the model finds it unusual: " + "; ".join(word[1] for word in words),
                "figures": json.dumps(figures),
            }
        )
    return pa.Table.from_pylist(listed, schema=REASONS_SCHEMA)


def _made_ordinary(claims: pa.Table, group: str, model: RiskModel) -> pa.Table:
    """The claims with one group of figures replaced."""
    columns: Columns = {name: claims.column(name) for name in (*NUMERIC, *CATEGORICAL)}
    nothing = pa.array(np.zeros(claims.num_rows))
    unknown = pa.nulls(claims.num_rows, pa.string())
    if group == "cost":
        columns |= {"amount_claimed": claims.column("peer_mean"), "amount_paid": claims.column("peer_mean")}
        columns |= {"amount_gap": nothing, "cost_zscore": nothing}
    elif group == "los":
        columns["los"] = _median("los", claims, model)
    elif group == "comorbidity":
        columns["comorbidity_count"] = _median("comorbidity_count", claims, model)
    elif group == "case_cost":
        columns |= {name: _median(name, claims, model) for name in ("peer_mean", "peer_p90")}
    else:
        columns |= {"facility_class": unknown, "province_name": unknown}
    return pa.table(columns)


def _median(column: str, claims: pa.Table, model: RiskModel) -> NDArray[np.float64]:
    """The median of the claim's service type; the claim's own figure where training knew no such type."""
    own = as_floats(claims.column(column))
    services = claims.column("service_type").to_pylist()
    return np.array(
        [model.medians.get(service, {}).get(column, value) for service, value in zip(services, own, strict=True)]
    )


def _words(group: str, row: dict[str, object], model: RiskModel) -> tuple[str, str]:
    """The group's figures of one claim, in Bahasa Indonesia and in English."""
    service = str(row["service_type"])
    median = model.medians.get(service, {})
    if group == "cost":
        amount, mean, count = _rupiah(row["amount_claimed"]), _rupiah(row["peer_mean"]), row["peer_n"]
        return (
            f"tagihan {amount[0]}, rata-rata {count} klaim sejenis {mean[0]}",
            f"claimed {amount[1]}, mean of {count} similar claims {mean[1]}",
        )
    if group == "los":
        days, usual = row["los"], f"{median.get('los', 0):.0f}"
        return f"LOS {days} hari (median {service} {usual})", f"LOS {days} days (median {service} {usual})"
    if group == "comorbidity":
        count, usual = row["comorbidity_count"], f"{median.get('comorbidity_count', 0):.0f}"
        return (
            f"{count} diagnosis sekunder (median {service} {usual})",
            f"{count} secondary diagnoses (median {service} {usual})",
        )
    if group == "case_cost":
        mean, ordinary = _rupiah(row["peer_mean"]), _rupiah(median.get("peer_mean", 0))
        return (
            f"jenis kasus mahal: rata-rata sejenis {mean[0]} (median {service} {ordinary[0]})",
            f"a dear kind of case: mean of similar claims {mean[1]} (median {service} {ordinary[1]})",
        )
    place = f"{row['facility_class']}, {row['province_name']}"
    return f"kelas RS dan provinsi yang jarang ({place})", f"rare facility class and province ({place})"


def _rupiah(amount: object) -> tuple[str, str]:
    english = f"Rp{float(str(amount)):,.0f}"
    return english.replace(",", "."), english
