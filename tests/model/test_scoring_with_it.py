"""Scoring with a named older model, with one of other definitions, and of claims unlike those of its training."""

from __future__ import annotations

import json
import logging
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml import nightly
from ml.model.artefact import ModelError, RiskModel, save_model
from ml.promotion import life
from ml.promotion.registry import Registry
from ml.release import RunToken
from ml.settings import Settings, load_settings

RULESETS = ("RULESET_v1", "RULESET_v2")
UNKNOWN = ("severity_group", "facility_class", "province_name", "service_type")


def scored(settings: Settings, run_id: str = "night") -> pa.Table:
    done = nightly.score(settings, RunToken(run_id, 1))
    assert nightly.audit(settings, done.folder)
    return pq.read_table(f"{done.folder}/claims_ml_scores.parquet").sort_by("claim_id")


@pytest.mark.parametrize("ruleset", RULESETS)
def test_a_named_older_model_scores_as_it_did_when_it_was_the_default(
    instance: Settings, good: RiskModel, other_seed: RiskModel, monkeypatch: pytest.MonkeyPatch, ruleset: str
) -> None:
    monkeypatch.setenv("RULESET_VERSION", ruleset)
    settings = load_settings()
    older, newer = (save_model(model, settings.models) for model in (other_seed, good))
    life.promote_candidate(settings, older, reason="a test", force=True)
    then = scored(settings, "then")
    life.promote_candidate(settings, newer, reason="a test", force=True)
    assert set(scored(settings, "now")["model_version"].to_pylist()) == {newer}

    monkeypatch.setenv("CLAIMS_MODEL_VERSION", older)
    again = scored(load_settings(), "again")
    assert again.drop_columns("scored_at").equals(then.drop_columns("scored_at"))
    assert Registry.of(settings).default_version == newer


def test_a_named_model_that_is_not_there_is_named_in_the_error(
    instance: Settings, good: RiskModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    life.promote_candidate(instance, save_model(good, instance.models), reason="a test", force=True)
    monkeypatch.setenv("CLAIMS_MODEL_VERSION", "risk-gone")
    with pytest.raises(ModelError, match=r"there is no model 'risk-gone'.*CLAIMS_MODEL_VERSION"):
        nightly.score(load_settings(), RunToken("night", 1))


@pytest.mark.parametrize("ruleset", RULESETS)
def test_unknown_categories_and_new_provinces_are_scored(
    instance: Settings, good: RiskModel, monkeypatch: pytest.MonkeyPatch, ruleset: str
) -> None:
    """A tenth of the claims carries values that training has not seen; the others score as before."""
    monkeypatch.setenv("RULESET_VERSION", ruleset)
    settings = load_settings()
    life.promote_candidate(settings, save_model(good, settings.models), reason="a test", force=True)
    usual = scored(settings, "usual")

    [path] = (settings.data / "claims_normalized").glob("*.parquet")
    claims = pq.read_table(path)
    odd = np.arange(claims.num_rows) % 10 == 0
    for column in UNKNOWN:
        value = "Papua Pegunungan" if column == "province_name" else "belum dikenal"
        field = claims.schema.field(column)
        changed = [value if is_odd else old for is_odd, old in zip(odd, claims[column].to_pylist(), strict=True)]
        claims = claims.set_column(claims.column_names.index(column), field, pa.array(changed, field.type))
    pq.write_table(claims, path)
    result = scored(settings, "odd")

    assert result.num_rows == claims.num_rows
    for column in ("ml_score", "ml_score_normalized", "rule_score", "risk_score"):
        values = result[column].to_numpy()
        assert np.isfinite(values).all(), column
    risk = result["risk_score"].to_numpy()
    assert risk.min() >= 0
    assert risk.max() <= 1
    new = set(claims.filter(pa.array(odd))["claim_id"].to_pylist())
    is_new = np.array([claim in new for claim in result["claim_id"].to_pylist()])
    for reasons in result.filter(pa.array(is_new))["reasons"].to_pylist():
        assert all(reason["text_id"] and reason["text_en"] for reason in json.loads(reasons))
    if ruleset == "RULESET_v2":  # a claim's score depends on its own row alone
        assert np.array_equal(risk[~is_new], usual["risk_score"].to_numpy()[~is_new])


def test_other_definitions_are_warned_of_once_and_scored_all_the_same(
    instance: Settings, good: RiskModel, caplog: pytest.LogCaptureFixture
) -> None:
    definitions = good.training["definitions"] | {"75_channels": "another"}
    old = replace(good, training=good.training | {"definitions": definitions})
    life.promote_candidate(instance, save_model(old, instance.models), reason="a test", force=True)
    with caplog.at_level(logging.WARNING):
        assert scored(instance).num_rows == 8_000
    [warning] = [record.getMessage() for record in caplog.records if "definitions" in record.getMessage()]
    assert warning.startswith(f"{old.version} was trained under other definitions of its features (75_channels)")
    assert "python -m ml.pipelines.train_model" in warning


def test_the_first_night_of_an_instance_trains_and_judges_its_model(instance: Settings) -> None:
    result = scored(instance)
    log = Registry.of(instance).log.read()
    assert [entry.event.value for entry in log] == ["trained", "gate passed", "promoted"]
    assert {entry.who for entry in log} == {"night"}
    assert set(result["model_version"].to_pylist()) == {log[-1].version}


def test_a_first_model_that_the_gate_refuses_scores_nothing(
    instance: Settings, good: RiskModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = replace(good, training=good.training | {"definitions": {}})
    monkeypatch.setattr(life, "train", lambda *_, **__: bad)
    with pytest.raises(life.GateRefusedError, match="There is no default model yet"):
        nightly.score(instance, RunToken("night", 1))
    assert Registry.of(instance).default_version is None
