"""Small real candidates (a few hundred claims with their scores) and a store in a folder of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from ml.claims.etl import FILE_ORDER
from ml.release import Candidate, Published, ReleaseStore, RunToken
from ml.rules import CHANNELS
from tests.claims_columns import ORDINARY, PROVIDER

DATE = date(2026, 11, 23)
SCORED_AT = datetime(2026, 11, 22, 19, 5, tzinfo=UTC)
ROWS = 300
NIGHT = RunToken("scheduled__2026-11-22T19:00:00+00:00", 1)

MakeCandidate = Callable[..., Candidate]
Publish = Callable[..., Published]
Candidates: TypeAlias = dict[str, Candidate]

SCORES_SCHEMA = pa.schema(
    {
        "claim_id": pa.string(),
        "ml_score": pa.float64(),
        "ml_score_normalized": pa.float64(),
        "rule_score": pa.float64(),
        "risk_score": pa.float64(),
        "channels": pa.struct([(code, pa.float64()) for code in CHANNELS]),
        "excess_amount": pa.int64(),
        "flags": pa.list_(pa.string()),
        "reasons": pa.string(),
        "model_version": pa.string(),
        "ruleset_version": pa.string(),
        "data_date": pa.date32(),
        "scored_at": pa.timestamp("us"),
    }
)

CLAIMS_SCHEMA = pa.schema(
    {
        "claim_id": pa.string(),
        "patient_key": pa.string(),
        "family_key": pa.string(),
        "facility_key": pa.string(),
        "facility_key_source": pa.string(),
        "admission_date": pa.date32(),
        "discharge_date": pa.date32(),
        "los": pa.int32(),
        "service_type": pa.string(),
        "severity_group": pa.string(),
        "severity_level": pa.int8(),
        "inacbg_code": pa.string(),
        "inacbg_description": pa.string(),
        "province_code": pa.int16(),
        "province_name": pa.string(),
        "regency_code": pa.int32(),
        "facility_ownership": pa.string(),
        "facility_type": pa.string(),
        "facility_class": pa.string(),
        "ward_class": pa.int8(),
        "tariff_region": pa.int8(),
        "primary_diagnosis": pa.string(),
        "primary_diagnosis_group": pa.string(),
        "primary_diagnosis_label": pa.string(),
        "procedure_codes": pa.string(),
        "procedure_count": pa.int16(),
        "comorbidity_count": pa.int16(),
        "inacbg_tariff": pa.int64(),
        "topup_amount": pa.int64(),
        "amount_claimed": pa.int64(),
        "amount_paid": pa.int64(),
        "amount_gap": pa.int64(),
        "paid_ratio": pa.float64(),
        "peer_level": pa.int8(),
        "peer_n": pa.int32(),
        "peer_mean": pa.float64(),
        "peer_p90": pa.float64(),
        "peer_std": pa.float64(),
        "cost_zscore": pa.float64(),
        "duplicate_pattern": pa.bool_(),
        "duplicate_gap_days": pa.int32(),
        "data_date": pa.date32(),
    }
    | {name: kind for name, (kind, _) in ORDINARY.items()}
)


def score_row(n: int, model: str, day: date) -> dict[str, Any]:
    """A score whose every figure depends on `n` and on the model, with a NULL, a NaN and empty lists here and there."""
    risk = (n * 7919 + len(model) + sum(model.encode())) % 1000 / 1000
    return {
        "claim_id": f"81870922V{n:06d}",
        "ml_score": None if n % 97 == 5 else float("nan") if n % 97 == 6 else risk - 0.5,
        "ml_score_normalized": risk,
        "rule_score": 0.8 if n % 6 == 0 else 0.0,
        "risk_score": max(risk, 0.8 if n % 6 == 0 else 0.0),
        "channels": None if n % 97 == 9 else {"upcoding": risk, "clone": None if n % 97 == 10 else 0.5},
        "excess_amount": n * 1000,
        "flags": None if n % 97 == 7 else [None] if n % 97 == 8 else ["short_stay_high_cost"] if n % 6 == 0 else [],
        "reasons": '[{"code": "short_stay_high_cost"}]' if n % 6 == 0 else "[]",
        "model_version": model,
        "ruleset_version": "RULESET_v1",
        "data_date": day,
        "scored_at": SCORED_AT.replace(tzinfo=None),
    }


def claim_row(n: int, day: date) -> dict[str, Any]:
    """The claim of `score_row(n)`."""
    inpatient = n % 8 == 0
    amount = 100_000 + n * 31 % 977 * 1000
    values = {field.name: n % 7 for field in CLAIMS_SCHEMA if pa.types.is_integer(field.type)}
    values |= {field.name: n / 7 for field in CLAIMS_SCHEMA if pa.types.is_floating(field.type)}
    values |= {field.name: f"{field.name} {n % 3}" for field in CLAIMS_SCHEMA if pa.types.is_string(field.type)}
    return values | {
        "claim_id": f"81870922V{n:06d}",
        "patient_key": f"person-{n}",
        "family_key": f"family-{n}",
        "admission_date": date(2026, 9, 1),
        "discharge_date": date(2026, 9, 2),
        "service_type": "RITL" if inpatient else "RJTL",
        "severity_group": "ringan" if inpatient else "rawat_jalan",
        "province_code": 31 + n % 4,
        "amount_claimed": amount,
        "duplicate_pattern": n % 11 == 0,
        "duplicate_gap_days": None if n % 11 else 2,
        "excess_amount": n * 1000,
        "data_date": day,
    }


def provider_of(claims: list[dict[str, Any]], number: int) -> dict[str, Any]:
    """The figures of the facility whose claims these are; the riskiest has number 0, and all others tie."""
    sums = {column: sum(claim[column] for claim in claims) for column in ("amount_claimed", "excess_amount")}
    score, rank = (0.4, 1) if number == 0 else (0.3, 2)
    return {**PROVIDER, **sums, "claims": len(claims), "risk_score": score, "rank": rank}


@lru_cache
def claims_table(rows: int, day: date) -> pa.Table:
    """The claims of a data date, of three facilities in turn."""
    claims = [claim_row(n, day) for n in range(rows)]
    for number in range(3):
        provider = provider_of(claims[number::3], number)
        for claim in claims[number::3]:
            claim["provider"] = provider
    return pa.Table.from_pylist(claims, schema=CLAIMS_SCHEMA)


def write_candidate(
    folder: Path,
    *,
    day: date = DATE,
    model: str = "MODEL_v1",
    rows: int = ROWS,
    change: Callable[[list[dict[str, Any]]], None] | None = None,
    schema: pa.Schema = SCORES_SCHEMA,
    in_file_order: bool = False,
) -> Candidate:
    """Write both Parquet files of a candidate; `change` may alter the scores' rows first.

    They stand in the order of the claim ids, or as the ETL writes them (`in_file_order`).
    """
    folder.mkdir(parents=True)
    scores, claims = folder / "claims_ml_scores.parquet", folder / "claims_normalized.parquet"
    score_rows = [score_row(n, model, day) for n in range(rows)]
    claim_rows = claims_table(rows, day)
    if in_file_order:
        order = pc.sort_indices(claim_rows, [(column, "ascending") for column in FILE_ORDER.split(", ")])
        claim_rows = claim_rows.take(order)
        score_rows = [score_rows[n] for n in order.to_pylist()]
    if change is not None:
        change(score_rows)
    pq.write_table(pa.Table.from_pylist(score_rows, schema=schema), scores)
    pq.write_table(claim_rows, claims)
    return Candidate(
        scores=scores,
        scores_sha256=hashlib.sha256(scores.read_bytes()).hexdigest(),
        claims=claims,
        data_date=day,
        scored_at=SCORED_AT,
        model_version=model,
        model_sha256=hashlib.sha256(model.encode()).hexdigest(),
        ruleset_version="RULESET_v1",
        ruleset_sha256="b" * 64,
        input_sha256=hashlib.sha256(claims.read_bytes()).hexdigest(),
    )


@pytest.fixture
def make_candidate(tmp_path: Path) -> MakeCandidate:
    """Write a candidate into a new folder; the arguments are those of `write_candidate`."""
    made = 0

    def make(**arguments: Any) -> Candidate:
        nonlocal made
        made += 1
        return write_candidate(tmp_path / f"candidate{made}", **arguments)

    return make


@pytest.fixture(scope="module")
def candidates(tmp_path_factory: pytest.TempPathFactory) -> Candidates:
    """A candidate of each model that is published in the scenarios of a fault."""
    folder = tmp_path_factory.mktemp("candidates")
    return {model: write_candidate(folder / model, model=model) for model in ("older", "good", "night")}


@pytest.fixture
def instance(tmp_path: Path) -> Path:
    """An instance folder that does not exist yet."""
    return tmp_path / "instance"


@pytest.fixture
def store(instance: Path) -> ReleaseStore:
    """A store that waits for nobody: no test but the concurrent ones has anybody to wait for."""
    return ReleaseStore(instance, lock_timeout=5, threads=1, memory_limit="500MB")


@pytest.fixture
def publish(store: ReleaseStore, make_candidate: MakeCandidate) -> Publish:
    """Publish a new candidate of a run whose name is also its model's; `qc` records an outcome."""

    def make(
        run: str, try_number: int = 1, *, qc: bool | None = True, now: datetime | None = None, **arguments: Any
    ) -> Published:
        candidate = make_candidate(model=f"{run}-{try_number}", **arguments)
        published = store.publish(candidate, RunToken(run, try_number), now=now)
        if qc is not None:
            store.record_qc(published.release_id, passed=qc, log=None)
        return published

    return make
