"""Wall time, CPU time and peak memory of each step of a night, each in a process of its own as in Airflow.

    python benchmarks/bench_night.py --claims 1176438

Quote ratios and medians of several runs, not single times: machines differ, and other work disturbs.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Callable
from datetime import date
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

DATA_DATE = date(2022, 12, 31)


def generate(state: dict[str, Any]) -> None:
    from ml.sample import GeneratorConfig, generate, write

    write(
        generate(GeneratorConfig(claims=state["claims"], seed=7)), Path(os.environ["CLAIMS_RAW_DIR"]), state["format"]
    )


def check_contract(state: dict[str, Any]) -> None:
    from ml.claims.etl import start_build
    from ml.settings import load_settings

    build, _ = start_build(load_settings(), DATA_DATE, "bench")
    state["build"] = build.as_xcom()


def run_sql(state: dict[str, Any]) -> None:
    from ml.claims.etl import EtlBuild, run_sql_steps
    from ml.settings import load_settings

    run_sql_steps(load_settings(), EtlBuild.from_xcom(state["build"]))


def publish_claims(state: dict[str, Any]) -> None:
    from ml.claims.etl import EtlBuild, publish_claims
    from ml.settings import load_settings

    publish_claims(load_settings(), EtlBuild.from_xcom(state["build"]))


def train_model(state: dict[str, Any]) -> None:
    from ml.promotion.life import train_default
    from ml.settings import load_settings

    train_default(load_settings())


def score_claims(state: dict[str, Any]) -> None:
    from ml import nightly
    from ml.release import RunToken
    from ml.settings import load_settings

    scored = nightly.score(load_settings(), RunToken("bench", 1))
    state["folder"], state["rows"] = scored.folder, scored.rows


def audit_candidate(state: dict[str, Any]) -> None:
    from ml import nightly
    from ml.settings import load_settings

    nightly.audit(load_settings(), state["folder"])


def backup_and_swap(state: dict[str, Any]) -> None:
    from ml import nightly
    from ml.release import RunToken
    from ml.settings import load_settings

    state["release"] = nightly.publish(load_settings(), RunToken("bench", 1), state["folder"]).release_id


def quality_check(state: dict[str, Any]) -> None:
    from ml import nightly
    from ml.settings import load_settings

    nightly.check_quality(load_settings(), release_id=state["release"], run_id="bench", expected_rows=state["rows"])


STEPS: tuple[Callable[[dict[str, Any]], None], ...] = (
    generate, check_contract, run_sql, publish_claims, train_model, score_claims, audit_candidate, backup_and_swap,
    quality_check,
)  # fmt: skip


def measured(step: Callable[[dict[str, Any]], None], state: dict[str, Any], answer: Connection) -> None:
    """Run one step and send back the state, wall and CPU seconds (imports included) and peak memory in MB."""
    started = time.perf_counter()
    step(state)
    seconds = time.perf_counter() - started
    used = resource.getrusage(resource.RUSAGE_SELF)
    cost = {"seconds": seconds, "cpu_seconds": used.ru_utime + used.ru_stime, "peak_mb": used.ru_maxrss * 1024 / 1e6}
    answer.send((state, cost))


def in_own_process(
    step: Callable[[dict[str, Any]], None], state: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, float]]:
    """Run one step as Airflow would; return the state it leaves and what it cost."""
    spawn = multiprocessing.get_context("spawn")
    receiver, sender = spawn.Pipe(duplex=False)
    process = spawn.Process(target=measured, args=(step, state, sender))
    process.start()
    sender.close()
    after, cost = receiver.recv()
    process.join()
    print(
        f"{step.__name__:>16} {cost['seconds']:8.2f} s {cost['cpu_seconds']:8.2f} CPU s {cost['peak_mb']:8.0f} MB",
        flush=True,
    )
    return after, cost


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--claims", type=int, default=1_176_438)
    arguments.add_argument("--format", default="csv", choices=("csv", "parquet", "dta"))
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {
            "CLAIMS_INSTANCE_DIR": f"{folder}/instance",
            "CLAIMS_RAW_DIR": f"{folder}/raw",
            "CLAIMS_PATIENT_KEY_SECRET": "a-secret-for-the-benchmark",
        }
        state: dict[str, Any] = {"claims": chosen.claims, "format": chosen.format}
        result = {}
        for step in STEPS:
            state, cost = in_own_process(step, state)
            result[step.__name__] = {name: round(value, 2) for name, value in cost.items()}
        print(json.dumps({"claims": chosen.claims, "format": chosen.format, "steps": result}))


if __name__ == "__main__":
    main()
