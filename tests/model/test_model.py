"""The forest as arrays scores exactly as scikit-learn does; artefacts are what their name says."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.ensemble import IsolationForest

from ml.claims.etl import find_claims
from ml.files import sha256_of
from ml.model import training
from ml.model.anomaly import ANOMALY_COLUMNS
from ml.model.artefact import DefaultModel, ModelError, default_model, load_model, make_default, save_model
from ml.model.features import CATEGORICAL, NUMERIC, learn_features
from ml.model.forest import MOST_LEVELS, Forest, from_sklearn
from ml.model.gate_file import read_gate_file, write_gate_file
from ml.model.training import CONTAMINATION, SEED, TREES, train
from ml.promotion.life import train_candidate
from ml.rules import CHANNELS
from ml.settings import Settings


def claims_table(rows: int = 600, seed: int = 3) -> pa.Table:
    rng = np.random.default_rng(seed)
    columns = {name: rng.lognormal(3, 1, rows) for name in NUMERIC}
    columns["cost_zscore"] = pa.array(rng.normal(size=rows), mask=rng.random(rows) < 0.2)
    columns |= {name: rng.choice(["a", "b", "c"], rows) for name in CATEGORICAL}
    columns |= {"peer_level": np.ones(rows, dtype=np.int8), "peer_n": np.full(rows, 40), "peer_std": np.ones(rows)}
    columns |= {f"narrow_peer_{name}": pa.nulls(rows, pa.float64()) for name in ("n", "mean", "p90", "std")}
    columns |= {name: rng.random(rows) for name in ANOMALY_COLUMNS}
    columns |= {f"evidence_{name}": np.maximum(rng.normal(size=rows), 0) for name in CHANNELS if name != "anomaly"}
    return pa.table({"claim_id": [f"{n:06d}" for n in rng.permutation(rows)], **columns})


@pytest.fixture(scope="module")
def claims_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("claims") / "claims.parquet"
    pq.write_table(claims_table(), path)
    return path


@pytest.fixture(scope="module")
def model(claims_file: Path):
    return train(claims_file, date(2022, 12, 31))


def test_scores_equal_scikit_learns_bit_for_bit() -> None:
    claims = claims_table()
    matrix = learn_features(claims).matrix(claims)
    fitted = IsolationForest(n_estimators=TREES, contamination=CONTAMINATION, random_state=SEED).fit(matrix)
    other = learn_features(claims).matrix(claims_table(seed=9))
    forest = from_sklearn(fitted)
    assert np.array_equal(forest.ml_score(other), -fitted.decision_function(other))
    alike = other[np.random.default_rng(1).integers(0, 50, 600)]
    assert np.array_equal(forest.ml_score(alike), -fitted.decision_function(alike)), "claims that are alike"
    zeros = np.array([0.0, -0.0, 0.0], dtype=np.float32)[:, None] * np.abs(other[:3])
    assert np.array_equal(forest.ml_score(zeros), -fitted.decision_function(zeros))
    assert forest.ml_score(other[:0]).shape == (0,)


def test_a_claim_at_a_threshold_goes_where_scikit_learn_sends_it() -> None:
    """Thresholds are float64 and claims float32: the nearest float32 may lie on either side of a threshold."""
    matrix = np.random.default_rng(2).normal(size=(400, 3)).astype(np.float32)
    fitted = IsolationForest(n_estimators=TREES, random_state=SEED).fit(matrix)
    forest = from_sklearn(fitted)
    nearest = forest.threshold[forest.left >= 0].astype(np.float32)
    below, above = (np.nextafter(nearest, np.float32(end)) for end in (-np.inf, np.inf))
    at = np.random.default_rng(3).choice(np.concatenate([nearest, below, above]), (2_000, 3))
    assert np.array_equal(forest.ml_score(at), -fitted.decision_function(at))


def test_a_tree_that_is_too_deep_is_refused_before_it_fills_the_memory() -> None:
    nodes = 2 * (MOST_LEVELS + 1) + 1  # a chain: every left child splits again
    left, right = np.full((2, nodes), -1)
    inner = np.arange(0, nodes - 1, 2)
    left[inner], right[inner] = inner + 2, inner + 1
    zeros = np.zeros(nodes)
    chain = Forest(1, 1.0, 0.0, np.array([0, nodes]), zeros.astype(np.int64), zeros, left, right, zeros)
    with pytest.raises(ValueError, match="more than 16 levels"):
        chain.ml_score(np.zeros((2, 1), dtype=np.float32))


def test_saved_and_loaded_it_scores_the_same(model, tmp_path) -> None:
    version = save_model(model, tmp_path)
    loaded = load_model(tmp_path, version)
    matrix = model.features.matrix(claims_table(seed=5))
    assert np.array_equal(loaded.forest.ml_score(matrix), model.forest.ml_score(matrix))
    assert loaded.content_sha256 == model.content_sha256
    assert save_model(model, tmp_path) == version, "saving an equal model again changes nothing"


def test_trainings_that_end_at_the_same_time_keep_one_model(model, tmp_path) -> None:
    with ThreadPoolExecutor(4) as pool:
        versions = list(pool.map(lambda _: save_model(model, tmp_path / "models"), range(8)))
    assert set(versions) == {model.version}
    assert load_model(tmp_path / "models", model.version).version == model.version


def test_the_same_claims_in_another_order_give_the_same_version(model, tmp_path) -> None:
    claims = claims_table()
    shuffled = tmp_path / "shuffled.parquet"
    pq.write_table(claims.take(np.random.default_rng(0).permutation(claims.num_rows)), shuffled)
    assert train(shuffled, date(2022, 12, 31)).version == model.version


def test_a_sample_is_the_claims_with_the_smallest_hashes(claims_file, monkeypatch) -> None:
    monkeypatch.setattr(training, "CALIBRATION_ROWS", 100)
    claims = pq.read_table(claims_file).to_pandas()
    hashes = claims["claim_id"].map(lambda claim_id: hashlib.md5(claim_id.encode(), usedforsecurity=False).hexdigest())
    smallest = claims.loc[hashes.sort_values().index[:100]]
    sample = training._calibration_sample(claims_file, None).to_pandas()
    assert (sample["evidence_upcoding"].to_numpy() == smallest["evidence_upcoding"].to_numpy()).all()


def test_training_keeps_to_the_limits_of_the_settings(instance: Settings, monkeypatch) -> None:
    """DuckDB alone would take all cores and most of the memory beside a night's tasks."""
    limited = instance.model_copy(update={"memory_limit": "700MB", "threads": 1})
    configs, connect = [], duckdb.connect

    def seen(*arguments, config=None, **options):
        configs.append(config or {})
        return connect(*arguments, config=config or {}, **options)

    monkeypatch.setattr(duckdb, "connect", seen)
    version = train_candidate(limited).version
    assert configs
    assert {(each.get("memory_limit"), each.get("threads")) for each in configs} == {("700MB", 1)}
    assert all(Path(each["temp_directory"]).is_relative_to(instance.work) for each in configs)
    assert list(instance.work.glob("training-*")) == []
    monkeypatch.undo()
    claims = find_claims(instance)
    assert train(claims.path, claims.data_date).version == version


def test_another_seed_gives_another_forest_of_the_same_claims(model, claims_file) -> None:
    other = train(claims_file, date(2022, 12, 31), seed=SEED + 1)
    assert (model.training["seed"], other.training["seed"]) == (SEED, SEED + 1)
    assert other.features == model.features
    assert not np.array_equal(other.forest.threshold, model.forest.threshold)


def test_rows_do_not_depend_on_their_batch(model) -> None:
    claims = claims_table(seed=7)
    whole = model.forest.ml_score(model.features.matrix(claims))
    parts = [model.forest.ml_score(model.features.matrix(claims.slice(start, 37))) for start in range(0, 600, 37)]
    assert np.array_equal(np.concatenate(parts), whole)


def test_missing_numbers_and_unknown_categories_are_handled(model) -> None:
    odd = pa.table(
        {name: pa.array([None, 1.0], pa.float64()) for name in NUMERIC}
        | {name: pa.array([None, "never seen"], pa.string()) for name in CATEGORICAL}
    )
    matrix = model.features.matrix(odd)
    assert np.isfinite(matrix).all()
    assert not matrix[0].any(), "a missing number counts as the mean, an unknown category as none"
    assert np.isfinite(model.forest.ml_score(matrix)).all()


def test_one_changed_byte_is_refused(model, tmp_path) -> None:
    version = save_model(model, tmp_path)
    for name in ("forest.npz", "anomaly.npz", "calibration.npz", "model.json"):
        path = tmp_path / version / name
        whole = path.read_bytes()
        place = whole.rindex(b"1") if name == "model.json" else len(whole) // 2
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(ModelError):
            load_model(tmp_path, version)
        path.write_bytes(whole)
    load_model(tmp_path, version)


@pytest.mark.parametrize("name", ["extra.npz", "model.pkl", ".hidden", "folder"])
def test_a_file_that_model_json_does_not_list_is_refused_by_name(model, tmp_path, name) -> None:
    version = save_model(model, tmp_path)
    extra = tmp_path / version / name
    extra.mkdir() if name == "folder" else extra.write_bytes(b"x")
    with pytest.raises(ModelError, match=rf"holds {name}, which model\.json does not list\. Find out who put it there"):
        load_model(tmp_path, version)


def test_the_gates_figures_may_lie_there_as_they_were_written(model, tmp_path) -> None:
    version = save_model(model, tmp_path)
    path = write_gate_file(tmp_path / version, {"passed": True, "figure": 0.25})
    load_model(tmp_path, version)
    assert read_gate_file(tmp_path / version) == {"passed": True, "figure": 0.25}
    assert {each.name for each in tmp_path.iterdir()} == {version, ".saving.lock"}, "nothing else is left"
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(ModelError, match=r"gate\.json: altered; delete it"):
            load_model(tmp_path, version)
    path.write_bytes(b"[]")
    with pytest.raises(ModelError, match=r"gate\.json: altered"):
        load_model(tmp_path, version)
    path.unlink()
    load_model(tmp_path, version)


def test_an_altered_model_is_moved_aside_when_it_is_trained_again(model, tmp_path, caplog) -> None:
    version = save_model(model, tmp_path)
    (tmp_path / version / "forest.npz").write_bytes(b"rubbish")
    assert save_model(model, tmp_path) == version
    load_model(tmp_path, version)
    [aside] = tmp_path.glob(f".{version}.damaged-*")
    assert (aside / "forest.npz").read_bytes() == b"rubbish"
    assert "altered" in caplog.text


def test_a_byte_more_is_refused_too(model, tmp_path) -> None:
    version = save_model(model, tmp_path)
    path = tmp_path / version / "model.json"
    path.write_text(path.read_text() + "\n")
    with pytest.raises(ModelError, match="altered"):
        load_model(tmp_path, version)


def test_an_array_that_no_model_has_is_refused(model, tmp_path) -> None:
    version = save_model(model, tmp_path)
    arrays = tmp_path / version / "calibration.npz"
    with np.load(arrays) as loaded:
        np.savez_compressed(arrays, more=np.zeros(1), **{name: loaded[name] for name in loaded.files})
    path = tmp_path / version / "model.json"
    text = json.loads(path.read_text())
    text["files"]["calibration.npz"] = sha256_of(arrays)
    path.write_text(json.dumps(text, indent=1, sort_keys=True))
    with pytest.raises(ModelError, match="other arrays"):
        load_model(tmp_path, version)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"no archive"])
def test_arrays_that_cannot_be_read_are_named_even_where_their_hash_is_listed(model, tmp_path, content) -> None:
    version = save_model(model, tmp_path)
    (tmp_path / version / "anomaly.npz").write_bytes(content)
    path = tmp_path / version / "model.json"
    text = json.loads(path.read_text())
    text["files"]["anomaly.npz"] = sha256_of(tmp_path / version / "anomaly.npz")
    path.write_text(json.dumps(text, indent=1, sort_keys=True))
    with pytest.raises(ModelError, match=f"{version}: not a readable model"):
        load_model(tmp_path, version)


def test_a_description_that_was_rewritten_is_refused(model, tmp_path) -> None:
    version = save_model(model, tmp_path)
    path = tmp_path / version / "model.json"
    text = json.loads(path.read_text())
    text["forest"]["offset"] += 0.01
    path.write_text(json.dumps(text))
    with pytest.raises(ModelError, match="altered"):
        load_model(tmp_path, version)


def test_another_format_is_named(model, tmp_path) -> None:
    version = save_model(model, tmp_path)
    path = tmp_path / version / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 1}))
    with pytest.raises(ModelError, match=r"of format 1, this program reads format 3\. .* makes a new one"):
        load_model(tmp_path, version)


def test_the_shares_of_places_are_kept_and_are_part_of_the_version(model, tmp_path) -> None:
    claims = claims_table()
    for column in ("facility_class", "province_name"):
        values = claims.column(column).to_pylist()
        assert model.shares[column] == {value: values.count(value) / 600 for value in "abc"}
        assert model.commonest(column) == max("abc", key=values.count)
    assert load_model(tmp_path, save_model(model, tmp_path)).shares == model.shares
    other = replace(model, shares=model.shares | {"province_name": {"a": 1.0}})
    assert other.version != model.version


def test_of_equally_common_values_the_first_by_name_is_the_commonest(model) -> None:
    tied = replace(model, shares={"province_name": {"c": 0.25, "b": 0.375, "a": 0.375}})
    assert tied.commonest("province_name") == "a"


@pytest.mark.parametrize("rows", [0, 1])
def test_too_few_claims_are_refused(tmp_path, rows) -> None:
    path = tmp_path / "few.parquet"
    pq.write_table(claims_table().slice(0, rows), path)
    with pytest.raises(ModelError, match=rf"{rows} claims cannot train a model, at least 2 claims are needed"):
        train(path, date(2022, 12, 31))


@pytest.mark.parametrize("different", [True, False])
def test_two_claims_make_a_model_with_finite_scores(tmp_path, different) -> None:
    path = tmp_path / "two.parquet"
    pq.write_table(claims_table().take([0, 1 if different else 0]), path)
    small = train(path, date(2022, 12, 31))
    assert np.isfinite(small.forest.ml_score(small.features.matrix(claims_table()))).all()


def test_the_default_model(model, tmp_path) -> None:
    assert default_model(tmp_path) is None
    with pytest.raises(ModelError, match="no model 'risk-none'"):
        make_default(tmp_path, DefaultModel("risk-none", "2026-01-01T00:00:00+00:00", "raw/fkrtl.csv"))
    chosen = DefaultModel(save_model(model, tmp_path), "2026-01-01T00:00:00+00:00", "raw/fkrtl.csv")
    make_default(tmp_path, chosen)
    assert default_model(tmp_path) == chosen
    with pytest.raises(ModelError):
        load_model(tmp_path, "../elsewhere")


def test_a_default_that_cannot_be_read_is_named(tmp_path) -> None:
    (tmp_path / "default.json").write_text('{"version": "risk-1"}')
    with pytest.raises(ModelError, match=r"default\.json: not readable"):
        default_model(tmp_path)
