"""Why the forest finds a claim odd: how much of its score goes when a group of figures is made ordinary.

A group's share is the drop of ml_score when its figures are replaced: cost by that of the claim's peers, a rare
facility class or province by the commonest of training, the rest by the median claim of its service type. That is a
statement about this model, not about cause.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ml.model.artefact import RiskModel
from ml.model.features import CATEGORICAL, NUMERIC, as_floats

Columns = dict[str, pa.Array]
Row = Mapping[str, object]

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

BATCH_ROWS = 8_192
NAMED_GROUPS = 2
NAMED_SHARE = 0.3
"""The second group is named only with at least this share of the first one's drop; less is hardly a reason."""
RARE_SHARE = 0.03
"""A facility class or province of a smaller share is rare: a 34th, what each province would have if all were alike."""

_GROUPS = ("cost", "los", "comorbidity", "case_cost", "place")
_PLACES = {"facility_class": ("kelas", "facility class"), "province_name": ("provinsi", "province")}


def ml_reasons(claims: pa.Table, model: RiskModel, *, threads: int = 1) -> pa.Table:
    """Explain the forest's score of some claims.

    Args:
        claims: the columns of `include/sql/scoring/RULESET_v1/30_to_explain.sql`.
        model: the model that scored them.
        threads: batches in work at a time; the result does not depend on it.

    Returns:
        One row a claim: claim_id, code, strength (its ml_score_normalized), text_id, text_en, figures (JSON object: the
        drop of each group that was tried; the place is tried only where it is rare).
    """
    batches = (claims.slice(start, BATCH_ROWS) for start in range(0, claims.num_rows, BATCH_ROWS))
    with ThreadPoolExecutor(threads) as pool:
        explained = pool.map(lambda batch: _explained(batch.combine_chunks(), model), batches)
        return pa.concat_tables([REASONS_SCHEMA.empty_table(), *explained])


def _explained(claims: pa.Table, model: RiskModel) -> pa.Table:
    drops = _drops(claims, model)
    order = np.argsort(-drops, axis=1, kind="stable")
    largest = drops.max(axis=1, keepdims=True)
    named = (drops > 0) & (drops >= NAMED_SHARE * largest)
    texts = [
        _sentence([_GROUPS[group] for group in by_drop[:NAMED_GROUPS] if is_named[group]], row, model)
        for row, by_drop, is_named in zip(claims.to_pylist(), order.tolist(), named.tolist(), strict=True)
    ]
    figures = [
        json.dumps({f"drop_{_GROUPS[group]}": round(own[group], 6) for group in by_drop if own[group] != -np.inf})
        for own, by_drop in zip(drops.tolist(), order.tolist(), strict=True)
    ]
    columns = {
        "claim_id": claims.column("claim_id"),
        "code": pa.repeat("ml_anomaly", claims.num_rows),
        "strength": claims.column("ml_score_normalized"),
        "text_id": [text[0] for text in texts],
        "text_en": [text[1] for text in texts],
        "figures": figures,
    }
    return pa.table(columns, schema=REASONS_SCHEMA)


def _drops(claims: pa.Table, model: RiskModel) -> NDArray[np.float64]:
    """How much of ml_score goes with each group, shape (claims, groups); -inf for a place that is not rare."""
    base = as_floats(claims.column("ml_score"))
    drops = np.full((claims.num_rows, len(_GROUPS)), -np.inf)
    for index, group in enumerate(_GROUPS):
        rows = _rare(claims, model) if group == "place" else np.arange(claims.num_rows)
        some = claims.take(pa.array(rows))
        drops[rows, index] = base[rows] - model.forest.ml_score(
            model.features.matrix(_made_ordinary(some, group, model))
        )
    return drops


def _rare(claims: pa.Table, model: RiskModel) -> NDArray[np.intp]:
    """Which rows have a rare facility class or province."""
    rare = [
        [_share(value, column, model) < RARE_SHARE for value in claims.column(column).to_pylist()] for column in _PLACES
    ]
    return np.flatnonzero(np.any(np.array(rare, dtype=bool), axis=0))


def _share(value: object, column: str, model: RiskModel) -> float:
    return model.shares[column].get(str(value), 0.0)


def _made_ordinary(claims: pa.Table, group: str, model: RiskModel) -> pa.Table:
    """The claims with one group of figures replaced."""
    columns: Columns = {name: claims.column(name) for name in (*NUMERIC, *CATEGORICAL)}
    nothing = pa.array(np.zeros(claims.num_rows))
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
        columns |= {name: _common(name, claims, model) for name in _PLACES}
    return pa.table(columns)


def _median(column: str, claims: pa.Table, model: RiskModel) -> NDArray[np.float64]:
    """The median of the claim's service type; the claim's own figure where training knew no such type."""
    own = as_floats(claims.column(column))
    services = claims.column("service_type").to_pylist()
    return np.array(
        [model.medians.get(service, {}).get(column, value) for service, value in zip(services, own, strict=True)]
    )


def _common(column: str, claims: pa.Table, model: RiskModel) -> pa.Array:
    """Rare values replaced by the commonest: no claim without class or province was ever trained on."""
    commonest = model.commonest(column)
    values = claims.column(column).to_pylist()
    return pa.array(
        [commonest if _share(value, column, model) < RARE_SHARE else value for value in values], pa.string()
    )


def _sentence(groups: list[str], row: Row, model: RiskModel) -> tuple[str, str]:
    """The reason in Bahasa Indonesia and in English.

    A score below 0 is not beyond the contamination quantile, so such a claim is not called unusual.
    """
    unusual = float(str(row["ml_score"])) > 0
    words = [_words(group, row, model) for group in groups]
    words = words or [("kombinasi beberapa besaran", "a combination of several figures")]
    start = (
        ("model menilai tidak lazim: ", "the model finds it unusual: ")
        if unusual
        else ("yang paling menaikkan skor model: ", "what raises the model's score most: ")
    )
    return start[0] + "; ".join(word[0] for word in words), start[1] + "; ".join(word[1] for word in words)


def _words(group: str, row: Row, model: RiskModel) -> tuple[str, str]:
    """The group's figures of one claim, in Bahasa Indonesia and in English."""
    service = str(row["service_type"])
    median = model.medians.get(service, {})
    if group == "cost":
        amount, mean, count = _rupiah(row["amount_claimed"]), _rupiah(row["peer_mean"]), row["peer_n"]
        if count == 1:
            return (
                f"tagihan {amount[0]}, tidak ada klaim sejenis lain",
                f"claimed {amount[1]}, no other claim is similar",
            )
        return (
            f"tagihan {amount[0]}, rata-rata {count} klaim sejenis {mean[0]}",
            f"claimed {amount[1]}, mean of {count} similar claims {mean[1]}",
        )
    if group == "los":
        days, usual = row["los"], f"{median.get('los', 0):.0f}"
        return (
            f"LOS {days} hari (median {service} {usual})",
            f"LOS {days} {'day' if days == 1 else 'days'} (median {service} {usual})",
        )
    if group == "comorbidity":
        count, usual = row["comorbidity_count"], f"{median.get('comorbidity_count', 0):.0f}"
        return (
            f"{count} diagnosis sekunder (median {service} {usual})",
            f"{count} secondary {'diagnosis' if count == 1 else 'diagnoses'} (median {service} {usual})",
        )
    if group == "case_cost":
        mean, ordinary = _rupiah(row["peer_mean"]), _rupiah(median.get("peer_mean", 0))
        dear = float(str(row["peer_mean"])) > median.get("peer_mean", 0)
        return (
            f"jenis kasus {'mahal' if dear else 'murah'}: rata-rata sejenis {mean[0]} (median {service} {ordinary[0]})",
            f"a {'dear' if dear else 'cheap'} kind of case: mean of similar claims {mean[1]} "
            f"(median {service} {ordinary[1]})",
        )
    return _place_words(row, model)


def _place_words(row: Row, model: RiskModel) -> tuple[str, str]:
    """The facility class and the province, each only where it is rare."""
    found = []
    for column, (name_id, name_en) in _PLACES.items():
        value, share = row[column], _share(row[column], column, model)
        if share == 0:
            found.append(
                (f"{name_id} {value} belum pernah ada saat model dilatih", f"{name_en} {value} not seen in training")
            )
        elif share < RARE_SHARE:
            percent = f"{100 * share:.1f}%" if share >= 0.001 else "<0.1%"
            found.append(
                (
                    f"{name_id} {value} jarang ({percent.replace('.', ',')} klaim)",
                    f"{name_en} {value} is rare ({percent} of claims)",
                )
            )
    return ", ".join(words[0] for words in found), ", ".join(words[1] for words in found)


def _rupiah(amount: object) -> tuple[str, str]:
    english = f"Rp{float(str(amount)):,.0f}"
    return english.replace(",", "."), english
