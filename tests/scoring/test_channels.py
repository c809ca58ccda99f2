"""RULESET_v2: properties of the calibration and of the combination that hold for any evidence."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ml.model.anomaly import ANOMALY_COLUMNS, FEATURES, anomaly_matrix
from ml.model.artefact import ModelError
from ml.model.calibration import LEAST_EVIDENCE, MOST_KNOTS, learn_calibration
from ml.rules import CHANNELS, load_ruleset
from ml.rules.ruleset import COMBINATION_THRESHOLDS, Ruleset
from ml.scoring import by_channels, channel_reasons
from ml.scoring.audit import audit_candidate
from ml.scoring.by_channels import (
    SCORES_SCHEMA,
    ChangedClaimsError,
    ScoringRun,
    columns_of,
    score_batches,
    write_scores,
)
from ml.scoring.channels import channel_scores, combine
from ml.scoring.score import score_claims
from ml.sql import sql_text
from tests.scoring.conftest import DATA_DATE, claims_table

RULESET = load_ruleset("RULESET_v2")
TYPOLOGIES = [channel.code for channel in RULESET.channels if channel.role == "typology"]
FACTS = [code for code in TYPOLOGIES if code != "short_stay"]
"""Typologies that read different facts: upcoding and short_stay are of one."""
NOW = datetime(2026, 11, 23, 19, 0, tzinfo=UTC)

evidences = arrays.arrays(np.float64, st.integers(1, 60), elements=st.floats(0, 1e5))
any_floats = arrays.arrays(np.float64, st.integers(1, 40), elements=st.floats(allow_nan=True, allow_infinity=True))
surprises = arrays.arrays(np.float64, (len(CHANNELS),), elements=st.floats(0, 20, allow_subnormal=False))


def risk(values: np.ndarray, money: float = 0.0) -> float:
    """The risk score of one claim with these surprises, in the order of CHANNELS."""
    by_channel = {code: values[index : index + 1] for index, code in enumerate(CHANNELS)}
    return float(combine(by_channel, RULESET, np.full(1, 0.5), np.full(1, money)).risk[0])


@given(evidences)
def test_a_surprise_is_the_share_with_at_least_as_much_and_rises_with_the_evidence(values) -> None:
    calibration = learn_calibration({"clone": values})
    found = calibration.of("clone", values)
    for value, surprise in zip(values, found, strict=True):
        share = np.count_nonzero(values >= value) / (len(values) + 1)
        assert surprise == pytest.approx(-np.log10(share) if value >= LEAST_EVIDENCE else 0)
    more = calibration.of("clone", values * 2 + 1)
    assert (more > found).all()


@given(evidences, any_floats)
@example(np.array([2.2e-313]), np.array([5e-324]))
@example(np.array([1e-300]), np.array([1e-301, 1e-300, 1.0]))
def test_any_evidence_has_a_finite_surprise(learned, values) -> None:
    for calibration in (learn_calibration({"clone": learned}), learn_calibration({"clone": np.zeros(3)})):
        found = calibration.of("clone", values)
        assert np.isfinite(found).all()
        assert (found >= 0).all()
        assert not found[~(values > 0)].any(), "none, less than none and missing evidence is no surprise"


def test_many_different_evidences_keep_the_tail_exact() -> None:
    values = np.random.default_rng(1).exponential(size=50_000)
    calibration = learn_calibration({"clone": values})
    assert len(calibration.evidence["clone"]) <= MOST_KNOTS
    ordered = np.sort(values)[::-1]
    exact = np.log10(50_001 / np.arange(1, 50_001))
    found = calibration.of("clone", ordered)
    assert found[:300] == pytest.approx(exact[:300])
    assert np.abs(found - exact).max() < 0.01, "a hundredth of a power of ten between the knots"


@given(surprises, st.integers(0, len(CHANNELS) - 1), st.floats(0.01, 5))
def test_more_evidence_of_any_channel_never_lowers_the_risk(values, channel, more) -> None:
    raised = values.copy()
    raised[channel] += more
    assert risk(raised) >= risk(values)


@given(surprises, st.floats(0, 1e12), st.floats(0, 1e12))
def test_more_money_never_lowers_the_risk(values, money, more) -> None:
    assert risk(values) <= risk(values, money) <= risk(values, money + more) < 1


@given(surprises, st.sampled_from(TYPOLOGIES))
def test_a_new_strongest_typology_raises_the_risk(values, code) -> None:
    raised = values.copy()
    raised[CHANNELS.index(code)] = max(values[CHANNELS.index(other)] for other in TYPOLOGIES) + 0.5
    assert risk(raised) > risk(values) or values[CHANNELS.index(code)] == raised[CHANNELS.index(code)]


@given(surprises, st.permutations(range(len(FACTS))))
def test_no_typology_is_preferred_over_another(values, order) -> None:
    """With the weights taken off (they are in the surprises already), only the sizes count."""
    values[[CHANNELS.index(code) for code in TYPOLOGIES if code not in FACTS]] = 0
    swapped = values.copy()
    places = [CHANNELS.index(code) for code in FACTS]
    swapped[places] = values[[places[index] for index in order]]
    assert risk(swapped) == pytest.approx(risk(values), rel=1e-12)


@given(surprises)
def test_typologies_that_read_the_same_fact_count_once(values) -> None:
    pair = [CHANNELS.index(code) for code in ("upcoding", "short_stay")]
    once, swapped = values.copy(), values.copy()
    once[pair] = values[pair].max(), 0
    swapped[pair] = values[pair[::-1]]
    assert risk(values) == risk(once) == risk(swapped)


@given(surprises)
@example(np.array([17.65625, 2.0, *[2.15862355e-15] * 9]))  # a context too small for the quotient's last digit
def test_the_risk_is_between_its_typologies_and_one(values) -> None:
    by_channel = {code: values[index : index + 1] for index, code in enumerate(CHANNELS)}
    scores = combine(by_channel, RULESET, np.full(1, 0.5), np.zeros(1))
    assert 0 <= scores.typologies[0] <= scores.risk[0] < 1
    assert (scores.typologies[0] > 0) == any(values[CHANNELS.index(code)] > 0 for code in TYPOLOGIES)


def test_the_documented_anchor_points() -> None:
    alone = np.zeros(len(CHANNELS))
    assert risk(alone) == 0
    alone[0] = 3.0
    assert risk(alone) == 0.5, "what one claim in a thousand shows"
    with_other = alone.copy()
    with_other[1] = 2.5
    assert risk(with_other) == pytest.approx(3.25 / 6.25), "a second typology adds a quarter of what is beyond 1.5"
    with_context = alone.copy()
    with_context[CHANNELS.index("provider")] = 2.0
    assert risk(with_context) == pytest.approx(4.0 / 7.0), "a context adds its weight, 0.5, times its surprise"
    of_a_million = risk(alone, money=1_000_000)
    assert of_a_million == pytest.approx(3.4 / 6.4), "0.4 for each power of ten beyond Rp100,000"
    assert risk(alone, money=100_000) == risk(alone, money=float("nan")) == 0.5
    assert risk(alone, money=10_000_000_000) == risk(alone, money=10_000_000) == pytest.approx(3.8 / 6.8)


@pytest.mark.parametrize("code", TYPOLOGIES)
def test_a_probability_among_peers_surprises_no_more_than_it_says(model, code: str) -> None:
    """Where few claims have a top-up at all, any is rare among all claims, also one that a tenth of its peers have."""
    (channel,) = (channel for channel in RULESET.channels if channel.code == code)
    evidence = [None, *np.arange(0.0, 16.0, 0.5)]
    claims = claims_table([{f"evidence_{code}": value} for value in evidence], dull=0)
    found = channel_scores(claims, model, RULESET).surprises[code] / channel.weight
    by_rank = model.calibration.of(code, np.array([np.nan, *evidence[1:]]))
    said = np.array([0.0, *evidence[1:]]) / np.log(10)
    bound = np.full(len(said), np.inf) if channel.rank_alone_to is None else np.maximum(said, channel.rank_alone_to)
    assert found == pytest.approx(np.minimum(by_rank, bound))
    assert code != "topup" or (by_rank > bound).any(), "the bound would not be seen"
    assert (np.diff(found) >= 0).all()


ODD: list[dict[str, Any]] = [
    {"evidence_inflated_bill": 9.4, "price_ln_ratio": 0.47, "amount_claimed": 3_200_000, "excess_amount": 1_200_000},
    {"evidence_clone": 30.0, "clone_count": 5, "clone_expected": 0.01, "evidence_repeat": 5.0, "repeat_after_days": 2,
     "repeat_share": 0.004, "repeat_alike": 3, "repeat_n": 700},
    {"los_share_low": None, "severity_share": None, "price_ln_ratio": None, "tariff_ln_ratio": None},
    {"province_name": "Papua Barat Daya", "facility_class": "a class nobody knows", "service_type": "a new service",
     "severity_group": "tidak_diketahui", "evidence_topup": 7.0, "topup_share": 0.001, "topup_codes": "DD-05-II"},
]  # fmt: skip


def scored(path: Path, table: pa.Table, model, *, row_group: int = 50, **how: Any) -> list[dict[str, Any]]:
    source, target = path / "claims.parquet", path / "scores.parquet"
    pq.write_table(table, source, row_group_size=row_group)
    write_scores(source, ScoringRun(model, RULESET, DATA_DATE, NOW), target, **{"threads": 1} | how)
    assert pq.read_schema(target).equals(SCORES_SCHEMA)
    return pq.read_table(target).to_pylist()


@pytest.mark.parametrize(("threads", "batch_rows", "row_group"), [(1, 7, 50), (2, 64, 13), (3, 1_000, 1_000)])
def test_rows_do_not_depend_on_batches_row_groups_or_threads(tmp_path, model, threads, batch_rows, row_group) -> None:
    table = claims_table(ODD)
    whole = scored(tmp_path, table, model)
    assert scored(tmp_path, table, model, threads=threads, batch_rows=batch_rows, row_group=row_group) == whole


@pytest.mark.parametrize("reasoned_rows", [1, 3])
def test_rows_do_not_depend_on_how_many_reasons_are_written_at_a_time(
    tmp_path, model, monkeypatch, reasoned_rows: int
) -> None:
    table = claims_table(ODD * 3)
    whole = scored(tmp_path, table, model)
    assert sum(row["reasons"] != "[]" for row in whole) > 2 * reasoned_rows
    for module in (by_channels, channel_reasons):
        monkeypatch.setattr(module, "REASONED_ROWS", reasoned_rows)
    assert scored(tmp_path, table, model) == whole


def test_claims_that_wait_for_their_reasons_hold_on_to_no_other_columns(tmp_path, model, monkeypatch) -> None:
    table = claims_table(ODD, dull=5_000)
    held = []

    def told(waiting: by_channels.Scored, *arguments: Any) -> pa.Table:
        held.append((pa.total_allocated_bytes() - before, waiting.rows.nbytes))
        return write_reasons(waiting, *arguments)

    write_reasons = by_channels.told
    monkeypatch.setattr(by_channels, "told", told)
    before = pa.total_allocated_bytes()
    scored(tmp_path, table, model, row_group=6_000)
    [(allocated, own)] = held
    assert allocated < 2 * own < table.nbytes


@pytest.fixture(scope="module")
def whole(tmp_path_factory, model) -> dict[str, dict[str, Any]]:
    rows = scored(tmp_path_factory.mktemp("whole"), claims_table(ODD, dull=60), model)
    return {row["claim_id"]: row for row in rows}


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 5))
def test_any_split_and_order_of_the_claims_gives_the_same_rows(tmp_path_factory, model, whole, seed, parts) -> None:
    """Scoring by province or month on many workers and putting the parts together is scoring the whole."""
    folder = tmp_path_factory.mktemp("split")
    table = claims_table(ODD, dull=60)
    rng = np.random.default_rng(seed)
    part_of = rng.integers(0, parts, table.num_rows)
    found: dict[str, dict[str, Any]] = {}
    for part in range(parts):
        rows = rng.permutation(np.flatnonzero(part_of == part))
        found |= (
            {row["claim_id"]: row for row in scored(folder, table.take(pa.array(rows)), model)} if len(rows) else {}
        )
    assert found == whole


def test_claims_that_are_rewritten_meanwhile_are_not_mixed(tmp_path, model, monkeypatch) -> None:
    def rewritten(*arguments: Any) -> pa.Table:
        pq.write_table(claims_table([], dull=60), tmp_path / "new.parquet")
        (tmp_path / "new.parquet").replace(tmp_path / "claims.parquet")  # as the ETL does
        return score_batches(*arguments)

    monkeypatch.setattr(by_channels, "score_batches", rewritten)
    with pytest.raises(
        ChangedClaimsError, match=r"claims\.parquet was rewritten while it was being scored: score again"
    ):
        scored(tmp_path, claims_table(ODD), model)


def test_a_part_without_claims_has_scores_without_rows(tmp_path, model) -> None:
    assert scored(tmp_path, claims_table([], dull=1).slice(0, 0), model) == []


def test_single_and_constant_claims_and_unknown_places_are_scored(tmp_path, model, settings) -> None:
    (single,) = scored(tmp_path, claims_table([], dull=1), model)
    assert 0 <= single["risk_score"] < 0.4
    rows = scored(tmp_path, claims_table(ODD), model)
    assert len(rows) == 204
    assert all(np.isfinite(row["risk_score"]) for row in rows)
    assert rows[-1]["flags"] == ["topup"], "a province and a class that the model never saw are no reason to fail"


@given(arrays.arrays(np.float64, (6, len(ANOMALY_COLUMNS)), elements=st.floats(allow_nan=True, allow_infinity=True)))
def test_the_anomaly_features_are_finite_whatever_the_figures(values) -> None:
    matrix = anomaly_matrix(pa.table({name: values[:, index] for index, name in enumerate(ANOMALY_COLUMNS)}))
    assert matrix.shape == (6, len(FEATURES))
    assert np.isfinite(matrix).all()


def test_a_candidate_by_channels_passes_its_audit(settings, write_claims, model, tmp_path) -> None:
    candidate = score_claims(settings, write_claims(claims_table(ODD)), model, RULESET, tmp_path / "candidate", NOW)
    assert set(audit_candidate(settings, candidate).values()) == {0}
    rows = {row["claim_id"]: row for row in pq.read_table(candidate.scores).to_pylist()}
    assert rows["special001"]["flags"] == ["clone", "repeat"], "strongest first"
    reasons = json.loads(rows["special001"]["reasons"])
    assert [reason["code"] for reason in reasons][:2] == ["clone", "repeat"]
    assert len(reasons) <= 3
    assert rows["special000"]["excess_amount"] == 1_200_000
    assert rows["dull00000"]["reasons"] == "[]"


@pytest.mark.parametrize(("identical", "excess", "third"), [(True, 2_000_000, "repeat"), (False, 0, "topup")])
def test_a_repeat_that_makes_all_of_the_bill_excess_is_told_beside_three_stronger_reasons(
    tmp_path, model, identical: bool, excess: int, third: str
) -> None:
    stronger = {
        "evidence_clone": 90.0, "clone_count": 5, "clone_expected": 0.01, "clone_of": ["a"],
        "evidence_overlap": 12.0, "overlap_of": "b", "overlap_day": 1, "overlap_los": 3, "overlap_alike": 1,
        "overlap_n": 900, "overlap_share": 0.001,
        "evidence_topup": 9.0, "topup_share": 0.001, "topup_codes": "DD-05-II", "topup_code": "DD-05-II",
        "topup_alike": 1, "topup_n": 900, "topup_code_amount": 500_000,
    }  # fmt: skip
    repeat = {
        "evidence_repeat": 5.0, "repeat_after_days": 2, "repeat_of": "c", "repeat_share": 0.004, "repeat_alike": 3,
        "repeat_n": 700, "repeat_identical": identical, "excess_amount": excess,
    }  # fmt: skip
    row = scored(tmp_path, claims_table([stronger | repeat]), model)[-1]
    assert sorted(row["flags"]) == ["clone", "overlap", "repeat", "topup"]
    assert row["flags"][-1] == "repeat", "the weakest"
    assert [reason["code"] for reason in json.loads(row["reasons"])] == [*row["flags"][:2], third]


def test_what_a_tenth_of_the_peers_share_is_no_flag() -> None:
    """It may stand out among all claims, few of which have any such evidence; among its peers it is usual."""
    surprises = {code: np.full(2, 2.5 if code == "topup" else 0.0) for code in CHANNELS}
    evidence = {f"evidence_{code}": np.log([9.0, 11.0]) for code in TYPOLOGIES}
    scores = combine(surprises, RULESET, np.full(2, 0.5), np.zeros(2))
    assert by_channels._flags(pa.table(evidence), scores, RULESET).to_pylist() == [[], ["topup"]]


@pytest.mark.parametrize(
    ("audit", "column", "value"),
    [
        ("wrong_channels", "channels", "NULL"),
        ("wrong_channels", "channels", "struct_update(channels, clone := 'nan'::DOUBLE)"),
        ("wrong_channels", "excess_amount", "excess_amount + 1"),
        ("risk_below_its_parts", "risk_score", "rule_score / 2"),
        ("flags_without_reason", "reasons", "'[]'"),
    ],
)
@pytest.mark.parametrize("version", ["RULESET_v2", "RULESET_of_next_year"])
def test_the_audits_of_channels_find_what_they_are_for(
    settings, write_claims, model, tmp_path, audit, column, value, version
) -> None:
    claims = write_claims(claims_table(ODD))
    candidate = score_claims(settings, claims, model, RULESET, tmp_path / "candidate", NOW)
    spoiled = f"CASE WHEN len(flags) > 0 THEN {value} ELSE {column} END AS {column}"
    with duckdb.connect() as connection:
        connection.read_parquet(str(claims.path)).create_view("claims")
        connection.read_parquet(str(candidate.scores)).select(
            f"* REPLACE ({spoiled}, '{version}' AS ruleset_version)"
        ).create_view("candidate")
        flagged = connection.sql("FROM candidate WHERE len(flags) > 0").fetchall()
        assert len(connection.sql(sql_text(f"audit_candidate/{audit}.sql")).fetchall()) == len(flagged) > 0


def test_a_model_without_a_scale_for_a_channel_is_refused_in_words(model, tmp_path) -> None:
    kept = {name: values for name, values in model.calibration.evidence.items() if name != "clone"}
    lesser = replace(model, calibration=replace(model.calibration, evidence=kept))
    with pytest.raises(ModelError, match="has no scale for clone of RULESET_v2"):
        scored(tmp_path, claims_table([]), lesser)


def test_every_channel_has_its_statement_of_reasons_and_its_column() -> None:
    assert tuple(channel.code for channel in RULESET.channels) == CHANNELS
    for code in CHANNELS:
        assert f"'{code}' AS code" in sql_text(f"scoring/RULESET_v2/{code}.sql")
    assert len(set(columns_of(RULESET))) == len(columns_of(RULESET))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"flags": [{"code": "a", "weight": 1, "meaning": "", "source": ""}]}, "flags or channels, and not both"),
        ({"thresholds": {}}, "missing or unknown: " + sorted(COMBINATION_THRESHOLDS)[0]),
        ({"thresholds": RULESET.thresholds | {"half_at": 0}}, "must be above 0: half_at"),
        ({"thresholds": RULESET.thresholds | {"money_from": 0}}, "must be above 0: money_from"),
        ({"thresholds": RULESET.thresholds | {"other_share": 1.5}}, "more evidence could lower the score"),
        ({"channels": [RULESET.channels[0].model_dump()] * 2}, "at most once"),
    ],
)
def test_a_malformed_ruleset_is_refused(change, message) -> None:
    with pytest.raises(ValueError, match=message):
        Ruleset.model_validate(RULESET.model_dump() | change)
