"""A labelled set: what the real ETL made, each claim beside its own truth, made once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml.evaluation import labelled
from ml.evaluation.labelled import LabelledSet, labels_of, make_labelled_set, own_settings
from ml.sample import GeneratorConfig, generate

CONFIG = GeneratorConfig(claims=1_500, seed=11)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> LabelledSet:
    return make_labelled_set(CONFIG, "default-11", tmp_path_factory.mktemp("sets") / "default-11")


def test_labels_stand_in_the_order_of_the_claims_and_are_the_generators(made: LabelledSet) -> None:
    """Turns red when the labels keep the generator's order, which is that of discharge."""
    claims = pq.read_table(made.claims.path)
    assert made.labels["claim_id"].to_pylist() == claims["claim_id"].to_pylist()
    assert made.labels["claim_id"].to_pylist() != generate(CONFIG).labels["claim_id"].to_pylist()
    truth = {row["claim_id"]: row for row in generate(CONFIG).labels.to_pylist()}
    assert made.labels.to_pylist() == [truth[claim_id] for claim_id in claims["claim_id"].to_pylist()]
    facility = [row["facility"] for row in made.labels.to_pylist()]
    assert claims["facility_key"].to_pylist() == facility


def test_the_claims_are_what_the_etl_publishes(made: LabelledSet) -> None:
    assert made.claims.rows == CONFIG.claims == made.labels.num_rows
    assert made.claims.data_date == CONFIG.until
    assert "fraud" not in " ".join(pq.read_schema(made.claims.path).names)


def test_only_claims_and_labels_are_kept(made: LabelledSet) -> None:
    assert {path.name for path in made.claims.path.parent.iterdir()} == {
        "claims_normalized.parquet", "labels.parquet", "set.json", ".lock",
    }  # fmt: skip


def counting(monkeypatch: pytest.MonkeyPatch) -> list[GeneratorConfig]:
    calls: list[GeneratorConfig] = []

    def generated(config: GeneratorConfig) -> object:
        calls.append(config)
        return generate(config)

    monkeypatch.setattr(labelled, "generate", generated)
    return calls


def test_a_set_is_made_once_and_reads_the_same(made: LabelledSet, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = counting(monkeypatch)
    again = make_labelled_set(CONFIG, "default-11", made.claims.path.parent)
    assert calls == []
    assert (again.claims, again.labels) == (made.claims, made.labels)


@pytest.mark.parametrize("changed", ["config", "code", "file", "killed"])
def test_a_set_made_by_something_else_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    config = GeneratorConfig(claims=300, seed=1)
    first = make_labelled_set(config, "a", tmp_path / "a")
    calls = counting(monkeypatch)
    if changed == "config":
        config = replace(config, seed=2)
    elif changed == "code":
        monkeypatch.setattr(labelled, "MADE_BY", (*labelled.MADE_BY, "sql/model"))
    elif changed == "file":
        pq.write_table(first.labels.slice(0, 299), tmp_path / "a" / "labels.parquet")
    else:
        (tmp_path / "a" / "set.json").unlink()
        (tmp_path / "a" / "building-x").mkdir()
    second = make_labelled_set(config, "a", tmp_path / "a")
    assert calls == [config]
    assert second.labels.equals(first.labels) == (changed != "config")
    assert not list((tmp_path / "a").glob("building-*"))


def test_every_folder_a_set_depends_on_is_there() -> None:
    include = labelled.SQL_ROOT.parent
    assert all(list((include / folder).rglob("*.*")) for folder in labelled.MADE_BY)


def test_the_environment_decides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAIMS_MIN_PEERS", "3")
    monkeypatch.setenv("CLAIMS_INSTANCE_DIR", "/nowhere")
    settings = own_settings(tmp_path, threads=1, memory_limit="1GB")
    assert (settings.min_peers, settings.instance_dir, settings.threads) == (20, tmp_path, 1)
    assert settings.raw == tmp_path / "raw"


def test_labels_that_are_not_of_these_claims_are_refused() -> None:
    labels = pa.table({"claim_id": ["a", "b", "c"], "is_fraud": [True, False, False]})
    assert labels_of(pa.chunked_array([["c", "a", "b"]]), labels)["is_fraud"].to_pylist() == [False, True, False]
    for claim_ids in (["a", "b"], ["a", "b", "x"], ["a", "b", "b"], ["a", "b", "c", "c"]):
        with pytest.raises(RuntimeError, match="not each has its label"):
            labels_of(pa.chunked_array([claim_ids]), labels)


def test_no_personal_number_is_kept(made: LabelledSet) -> None:
    """The numbers are generated ones; the set is made by the same code as a real one all the same."""
    columns = {name.lower() for name in pq.read_schema(made.claims.path).names}
    assert not columns & {"pstv01", "pstv02"}
    assert duckdb.sql(f"SELECT count(*) FROM '{made.claims.path}' WHERE patient_key IS NULL").fetchall() == [(0,)]
