"""A model knows how its features were defined, and tells when those of the claims are not the same."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from ml.claims import layout
from ml.claims.etl import ClaimsFile
from ml.model import anomaly, training
from ml.model.artefact import RiskModel
from ml.model.training import changed_definitions, feature_definitions, why_scales_may_not_fit
from ml.sql import sql_text


def test_changed_definitions_are_those_that_differ_are_gone_or_are_new(good: RiskModel) -> None:
    assert changed_definitions(good) == []
    trained = dict(good.training["definitions"])
    first, *_ = trained
    trained[first] = "another"
    trained["99_gone"] = "x"
    dropped = list(trained)[1]
    trained.pop(dropped)
    old = replace(good, training=good.training | {"definitions": trained})
    assert changed_definitions(old) == sorted([first, "99_gone", dropped])


def test_definitions_change_by_what_statements_do_not_by_what_they_say(monkeypatch: pytest.MonkeyPatch) -> None:
    before = feature_definitions()
    monkeypatch.setattr(
        training, "sql_text", lambda name: "-- another comment\n" + sql_text(name).replace("\n", "\n  ")
    )
    assert feature_definitions() == before
    monkeypatch.setattr(training, "sql_text", lambda name: sql_text(name).replace("0.05", "0.06"))
    changed = [name for name, digest in feature_definitions().items() if digest != before[name]]
    assert changed == [
        "52_copied_stays",
        "56_closed_days",
        "57_split_care",
        "58_dense_weeks",
        "60_evidence",
        "60_macros",
    ]
    monkeypatch.undo()
    monkeypatch.setitem(layout.FACILITY_CLASSES, 28, "RS Khusus Anak")
    assert [name for name, digest in feature_definitions().items() if digest != before[name]] == ["code_lists"]
    monkeypatch.undo()
    monkeypatch.setattr(anomaly, "LEAST_SHARE", 1e-2)
    assert [name for name, digest in feature_definitions().items() if digest != before[name]] == ["anomaly_features"]


def test_another_setting_for_peers_is_told(good: RiskModel, generated: ClaimsFile) -> None:
    claims = replace(generated, min_peers=20)
    assert good.training["min_peers"] == 20
    assert why_scales_may_not_fit(good, claims) is None
    assert why_scales_may_not_fit(good, replace(claims, min_peers=1)) == "CLAIMS_MIN_PEERS (was 20, is 1)"
    of_before = replace(good, training={name: of for name, of in good.training.items() if name != "min_peers"})
    assert why_scales_may_not_fit(of_before, claims) is None, "a model of an earlier version"
    of_other = replace(good, training=good.training | {"definitions": {}})
    assert re.fullmatch(r"\d\d of them, among them \S+", str(why_scales_may_not_fit(of_other, claims)))
    assert why_scales_may_not_fit(good, replace(claims, min_peers=None)) is None, "a file of an earlier version"
