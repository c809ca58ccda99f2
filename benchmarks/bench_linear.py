"""A night at growing sizes: seconds, CPU seconds and peak memory, each step in its own process.

    python benchmarks/bench_linear.py --claims 300000 1200000 4800000
    python benchmarks/bench_linear.py --claims 12000000 --etl-memory-limit 3000MB --memory-limit 1000MB

A large file is several generated samples in one, with claim ids, participants and families of their own. Needs about
1.3 GB of disk per million claims in the temporary folder (TMPDIR).
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from bench_night import (
    audit_candidate,
    backup_and_swap,
    check_contract,
    in_own_process,
    publish_claims,
    quality_check,
    run_sql,
    score_claims,
    train_model,
)

PART_CLAIMS = 1_200_000
PARTS = {
    "ETL": (check_contract, run_sql, publish_claims),
    "training": (train_model,),
    "scoring": (score_claims, audit_candidate, backup_and_swap),
    "QC": (quality_check,),
}
OWN = {
    "fkrtl": ("FKL02", "PSTV01", "PSTV02"),
    "diagnosissekunder": ("FKL02",),
}


def generate_parts(state: dict[str, Any]) -> None:
    """Write the raw files part by part, each with a two-digit prefix before its numbers."""
    import duckdb

    from ml.sample import GeneratorConfig, generate, write

    raw = Path(os.environ["CLAIMS_RAW_DIR"])
    raw.mkdir(parents=True)
    left, part = state["claims"], 10
    while left:
        claims = min(left, PART_CLAIMS)
        with tempfile.TemporaryDirectory() as folder, duckdb.connect() as connection:
            made = Path(folder) / "raw"  # its labels lie beside it
            write(generate(GeneratorConfig(claims=claims, seed=part)), made, "csv")
            for kind, columns in OWN.items():
                source = next(made.glob(f"*{kind}.csv"))
                own = ", ".join(f"'{part}' || {column} AS {column}" for column in columns)
                piece = Path(folder) / "piece.csv"
                connection.execute(
                    f"COPY (SELECT * REPLACE ({own}) FROM read_csv('{source}', all_varchar=true, header=true)) "
                    f"TO '{piece}' (HEADER {part == 10})"
                )
                with (raw / f"sample_{kind}.csv").open("ab") as whole, piece.open("rb") as stream:
                    shutil.copyfileobj(stream, whole, 1 << 24)
        left, part = left - claims, part + 1


def night(claims: int, limits: tuple[str, str]) -> dict[str, dict[str, float]]:
    """Run a night with these memory limits of DuckDB (of the ETL, of the rest); return what each step cost."""
    costs = {}
    with tempfile.TemporaryDirectory() as folder:
        instance, raw = Path(folder) / "instance", Path(folder) / "raw"
        os.environ |= {"CLAIMS_INSTANCE_DIR": str(instance), "CLAIMS_RAW_DIR": str(raw)}
        print(f"{claims:,} claims", flush=True)
        state: dict[str, Any] = {"claims": claims}
        os.environ["CLAIMS_DUCKDB_MEMORY_LIMIT"], scoring_limit = limits
        for step in (generate_parts, *PARTS["ETL"]):
            state, costs[step.__name__] = in_own_process(step, state)
        shutil.rmtree(raw)  # the disk is wanted for the rest
        (instance / "warehouse.duckdb").unlink()
        os.environ["CLAIMS_DUCKDB_MEMORY_LIMIT"] = scoring_limit
        for step in (*PARTS["training"], *PARTS["scoring"], *PARTS["QC"]):
            state, costs[step.__name__] = in_own_process(step, state)
    return costs


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--claims", type=int, nargs="+", default=[300_000, 1_200_000, 4_800_000])
    arguments.add_argument("--etl-memory-limit", default="1500MB", help="DuckDB's, in a task of the ETL")
    arguments.add_argument("--memory-limit", default="1500MB", help="DuckDB's, in the other tasks")
    chosen = arguments.parse_args()
    os.environ |= {"CLAIMS_PATIENT_KEY_SECRET": "a-secret-for-the-benchmark"}
    limits = (chosen.etl_memory_limit, chosen.memory_limit)
    nights = {claims: night(claims, limits) for claims in chosen.claims}
    print(
        "\n| claims | part | seconds | CPU seconds per million claims | peak of the hungriest step |"
        "\n|---|---|---|---|---|"
    )
    for claims, costs in nights.items():
        for part, steps in PARTS.items():
            of_part = [costs[step.__name__] for step in steps]
            seconds, cpu = (sum(cost[key] for cost in of_part) for key in ("seconds", "cpu_seconds"))
            peak = max(cost["peak_mb"] for cost in of_part)
            print(f"| {claims:,} | {part} | {seconds:.1f} | {cpu / claims * 1e6:.1f} | {peak / 1000:.2f} GB |")


if __name__ == "__main__":
    main()
