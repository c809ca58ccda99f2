"""Scoring as a plain script does it (pandas, scikit-learn) against ours, in alternating runs of their own processes.

    python benchmarks/bench_scoring.py --claims 1176438 --pairs 3

The plain way is the current system's: every column of every claim into pandas, one-hot columns, IsolationForest,
min-max, the flags of RULESET_v1, a Parquet file and a DuckDB table. Both read the same claims_normalized; ours also
explains, audits, keeps a backup and hashes what it publishes. Neither trains nor imports on the clock.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

NUMBERS = ["los", "amount_claimed", "amount_paid", "amount_gap", "comorbidity_count", "peer_mean", "peer_p90",
           "cost_zscore"]  # fmt: skip
WORDS = ["severity_group", "facility_class", "province_name", "service_type"]
PEERS = ["primary_diagnosis", "severity_group", "facility_class", "province_name"]
SAME_CARE = ["patient_key", "primary_diagnosis", "procedure_codes"]
COLUMNS_BEFORE = [
    "claim_id", "patient_key", "facility_key", "facility_key_source", "admission_date", "discharge_date", "los",
    "service_type", "severity_group", "severity_level", "inacbg_code", "inacbg_description", "province_code",
    "province_name", "regency_code", "facility_ownership", "facility_type", "facility_class", "ward_class",
    "tariff_region", "primary_diagnosis", "primary_diagnosis_group", "primary_diagnosis_label", "procedure_codes",
    "procedure_count", "comorbidity_count", "inacbg_tariff", "topup_amount", "topup_codes", "amount_claimed",
    "amount_paid", "amount_gap", "paid_ratio", "peer_level", "peer_n", "peer_mean", "peer_p90", "peer_std",
    "cost_zscore", "duplicate_pattern", "duplicate_gap_days", "data_date",
]  # fmt: skip
"""What the system before has of a claim: the plain way does not pay for what ours compares it with."""
SEEN_ROWS = 5_000


def fit_plain(claims: Path, _folder: Path) -> Any:
    import duckdb
    import pandas as pd
    from sklearn.ensemble import IsolationForest
    from sklearn.preprocessing import StandardScaler

    sample = duckdb.sql(f"SELECT {', '.join(NUMBERS + WORDS)} FROM '{claims}' USING SAMPLE 200000 (reservoir, 1)").df()
    scaler = StandardScaler().fit(sample[NUMBERS].fillna(0))
    one_hot = pd.get_dummies(sample[WORDS], dtype=float)
    matrix = pd.concat([pd.DataFrame(scaler.transform(sample[NUMBERS].fillna(0)), columns=NUMBERS), one_hot], axis=1)
    forest = IsolationForest(n_estimators=200, contamination=0.03, random_state=1, n_jobs=-1).fit(matrix)
    return scaler, list(one_hot.columns), forest


def score_plain(claims_file: Path, folder: Path, fitted: Any, scored: Callable[[], None]) -> None:
    import duckdb
    import pandas as pd

    scaler, one_hot_columns, forest = fitted
    claims = duckdb.read_parquet(str(claims_file)).select(*COLUMNS_BEFORE).df()

    one_hot = pd.get_dummies(claims[WORDS], dtype=float).reindex(columns=one_hot_columns, fill_value=0.0)
    numbers = pd.DataFrame(scaler.transform(claims[NUMBERS].fillna(0)), columns=NUMBERS)
    ml_score = -forest.decision_function(pd.concat([numbers, one_hot], axis=1))
    scores = pd.DataFrame({"claim_id": claims["claim_id"], "ml_score": ml_score})
    scores["ml_score_normalized"] = (ml_score - ml_score.min()) / (ml_score.max() - ml_score.min())

    amounts = claims.groupby(PEERS, observed=True)["amount_claimed"]
    peers = pd.concat([amounts.quantile(0.9).rename("p90"), amounts.mean().rename("mean"),
                       amounts.std(ddof=0).rename("std")], axis=1).reset_index()  # fmt: skip
    ruled = claims[["claim_id", *PEERS, "los", "amount_claimed", "amount_paid"]].merge(peers, on=PEERS, how="left")
    by_care = claims[["claim_id", *SAME_CARE, "admission_date"]].sort_values([*SAME_CARE, "admission_date"])
    days = by_care.groupby(SAME_CARE)["admission_date"].diff().dt.days
    by_care["repeated"] = (days <= 3) | (days.groupby([by_care[key] for key in SAME_CARE]).shift(-1) <= 3)
    ruled = ruled.merge(by_care[["claim_id", "repeated"]], on="claim_id")
    dear = ruled["amount_claimed"] > ruled["p90"]
    flags = {
        "short_stay_high_cost": (0.8, (ruled["los"] <= 1) & dear),
        "severity_mismatch": (0.7, (ruled["severity_group"] == "ringan") & dear),
        "duplicate_pattern": (0.6, ruled["repeated"]),
        "high_cost_full_paid": (0.5, (ruled["amount_paid"] / ruled["amount_claimed"] >= 0.95)
                                & ((ruled["amount_claimed"] - ruled["mean"]) / ruled["std"] > 2)),
    }  # fmt: skip
    ruled["rule_score"] = 0.0
    for name, (weight, holds) in flags.items():
        ruled[name] = holds
        ruled["rule_score"] = ruled["rule_score"].where(~holds, ruled["rule_score"].clip(lower=weight))
    scores = scores.merge(ruled[["claim_id", "rule_score", *flags]], on="claim_id")
    scores["risk_score"] = scores[["rule_score", "ml_score_normalized"]].max(axis=1)

    scores.to_parquet(folder / "claims_ml_scores.parquet", index=False)
    scored()
    with duckdb.connect(str(folder / "analytics.duckdb")) as connection:
        connection.execute("CREATE TABLE claims_ml_scores AS SELECT * FROM scores")


def prepare_ours(_claims: Path, _folder: Path) -> Any:
    import pandas  # noqa: F401 - pyarrow imports it with the first array that it makes

    from ml import nightly

    return nightly


def score_ours(_claims: Path, folder: Path, nightly: Any, scored: Callable[[], None]) -> None:
    from ml.release import RunToken
    from ml.settings import load_settings

    settings, token = load_settings(), RunToken(folder.name, 1)
    candidate = nightly.score(settings, token).folder
    scored()
    nightly.audit(settings, candidate)
    nightly.publish(settings, token, candidate)


def measured(way: str, claims: Path, folder: Path, answer: Connection) -> None:
    """Run one way of scoring and send back what `MEASURED` names."""
    prepare, score = WAYS[way]
    prepared = prepare(claims, folder)
    began, cpu = time.perf_counter(), sum(os.times()[:4])
    parquet_written: list[float] = []
    score(claims, folder, prepared, lambda: parquet_written.append(time.perf_counter() - began))
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    answer.send((seconds, *parquet_written, sum(os.times()[:4]) - cpu, peak))


MEASURED = ("wall", "wall to the Parquet file of scores", "CPU", "peak memory")
"""Seconds, seconds, seconds, MB."""
WAYS: dict[str, tuple[Callable[[Path, Path], Any], Callable[[Path, Path, Any, Callable[[], None]], None]]] = {
    "plain": (fit_plain, score_plain),
    "ours": (prepare_ours, score_ours),
}


def make_claims(claims: int, answer: Connection) -> None:
    """Do what a night does before scoring, and train; send back the file, its rows and node visits a row."""
    from bench_night import DATA_DATE

    from ml.claims.etl import publish_claims, run_sql_steps, start_build
    from ml.promotion import life
    from ml.sample import GeneratorConfig, generate, write
    from ml.settings import load_settings

    settings = load_settings()
    write(generate(GeneratorConfig(claims=claims, seed=7)), settings.raw, "csv")
    build, _ = start_build(settings, DATA_DATE, "bench")
    run_sql_steps(settings, build)
    published = publish_claims(settings, build)
    model = life.train_default(settings)
    answer.send((published.path, published.rows, visits_per_row(model, published.path)))


def visits_per_row(model: Any, claims: Path) -> float:
    """Nodes that a claim passes on its way through all trees, on average."""
    import numpy as np
    import pyarrow.parquet as pq

    first = next(pq.ParquetFile(claims).iter_batches(SEEN_ROWS))
    rows, forest, visits = model.features.matrix(first), model.forest, 0
    for start in forest.tree_starts[:-1]:
        node, moving = np.full(len(rows), start), np.arange(len(rows))
        while len(moving):
            visits += len(moving)
            at = node[moving]
            goes_left = rows[moving, np.maximum(forest.feature[at], 0)] <= forest.threshold[at]
            child = np.where(goes_left, forest.left[at], forest.right[at])
            node[moving] = start + child
            moving = moving[child >= 0]
    return visits / len(rows)


def in_own_process(task: Callable[..., None], *arguments: object) -> Any:
    spawn = multiprocessing.get_context("spawn")
    receiver, sender = spawn.Pipe(duplex=False)
    process = spawn.Process(target=task, args=(*arguments, sender))
    process.start()
    sender.close()
    result = receiver.recv()
    process.join()
    return result


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--claims", type=int, default=1_176_438)
    arguments.add_argument("--pairs", type=int, default=3)
    arguments.add_argument("--ruleset", help="ruleset of ours; default: what the settings say")
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ |= {
            "CLAIMS_INSTANCE_DIR": f"{folder}/instance",
            "CLAIMS_RAW_DIR": f"{folder}/raw",
            "CLAIMS_PATIENT_KEY_SECRET": "a-secret-for-the-benchmark",
        }
        if chosen.ruleset:
            os.environ["RULESET_VERSION"] = chosen.ruleset
        claims, rows, visits = in_own_process(make_claims, chosen.claims)
        costs: dict[str, list[tuple[float, ...]]] = {way: [] for way in WAYS}
        for pair in range(chosen.pairs):
            for way in sorted(WAYS, reverse=pair % 2 == 0):
                run = folder / f"{way}-{pair}"
                run.mkdir()
                costs[way].append(in_own_process(measured, way, claims, run))
                seconds, scored, cpu, peak = costs[way][-1]
                print(
                    f"pair {pair + 1} {way:>5} {seconds:8.2f} s, scores after {scored:6.2f} s {cpu:8.2f} CPU s "
                    f"{peak:8.0f} MB",
                    flush=True,
                )
    pairs = list(zip(costs["plain"], costs["ours"], strict=True))
    ratios = [statistics.median(plain[i] / ours[i] for plain, ours in pairs) for i in range(len(MEASURED))]
    told = ", ".join(f"{name} {ratio:.2f}" for name, ratio in zip(MEASURED, ratios, strict=True))
    print(f"plain / ours, median of {chosen.pairs} pairs: {told}")
    speed = rows * visits / statistics.median(cost[0] for cost in costs["ours"]) / 1e6
    print(f"ours: {rows:,} claims x {visits:,.0f} tree nodes = {speed:,.0f} million node visits/s, all steps counted")


if __name__ == "__main__":
    main()
