"""How far apart the gate finds models that ought to be equally good: the source of its tolerances.

    python benchmarks/bench_gate.py [--ruleset RULESET_v2] [--models 8] [--claims 50000] [--work FOLDER]

Trains models that differ in nothing but the generator's seed of their training claims, scores the gate's own sets with
each, and prints mean, standard deviation, and twice the standard deviation of the difference of two. Then models that
ought to be refused, with their scales.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ml.evaluation.labelled import make_labelled_set, own_settings
from ml.model.artefact import RiskModel
from ml.model.training import train
from ml.promotion.gate import judge
from ml.promotion.report import GateReport
from ml.rules import load_ruleset
from ml.sample import GeneratorConfig

FIRST_SEED = 7
Array = np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ruleset", default="RULESET_v2")
    parser.add_argument("--models", type=int, default=8)
    parser.add_argument("--claims", type=int, default=50_000)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "bench_gate")
    arguments = parser.parse_args()
    settings, ruleset = own_settings(arguments.work / "instance"), load_ruleset(arguments.ruleset)

    models, first = [], None
    for seed in range(FIRST_SEED, FIRST_SEED + arguments.models):
        config = GeneratorConfig(claims=arguments.claims, seed=seed)
        claims = make_labelled_set(config, f"training-{seed}", arguments.work / f"{seed}-{arguments.claims}").claims
        first = first or claims
        models.append(train(claims.path, claims.data_date))
    # Each against the first, so that all sets are used.
    reports = [judge(model, models[0], settings, ruleset) for model in models]
    for seed, report in enumerate(reports, start=FIRST_SEED):
        show(f"claims of seed {seed}", report)
    for place, measure in enumerate(reports[0].measures):
        values = [report.measures[place].candidate for report in reports]
        sd = float(np.std(values, ddof=1))
        print(f"{measure.name}: mean {np.mean(values):.4f}, sd {sd:.4f}, 2 sd of a difference {2 * 2**0.5 * sd:.4f}")
    if not ruleset.channels:
        return
    assert first is not None
    whole = pq.read_table(first.path)
    for name, change in spoilt(whole).items():
        show(name, judge(trained(change(), arguments.work, first.data_date), models[0], settings, ruleset))


def show(name: str, report: GateReport) -> None:
    figures = " ".join(f"{measure.candidate:.3f}" for measure in report.measures)
    scales = " ".join(f"{scale.channel} {scale.candidate:+.2f}" for scale in report.scales)
    print(f"{name:<24} {'passed ' if report.passed else 'REFUSED'} {figures}  {scales}", flush=True)


def trained(claims: pa.Table, work: Path, data_date: date) -> RiskModel:
    path = work / "spoilt.parquet"
    pq.write_table(claims, path)
    return train(path, data_date)


def spoilt(claims: pa.Table) -> dict[str, Callable[[], pa.Table]]:
    """Claims from which no good model can come."""
    columns = [name for name in claims.column_names if name.startswith("evidence_")]

    def with_evidence(change: Callable[[int, Array], Array]) -> Callable[[], pa.Table]:
        def make() -> pa.Table:
            table = claims
            for index, name in enumerate(columns):
                values = np.nan_to_num(np.asarray(claims[name].cast(pa.float64()).to_numpy(), dtype=np.float64))
                table = table.set_column(table.column_names.index(name), name, pa.array(change(index, values)))
            return table

        return make

    def few(rows: int) -> Callable[[], pa.Table]:
        chosen = np.random.default_rng(rows).permutation(claims.num_rows)[:rows]
        return lambda: claims.take(chosen)

    after = {name: columns[(place + 1) % len(columns)] for place, name in enumerate(columns)}
    return {
        "no evidence": with_evidence(lambda _, values: values * 0),
        "constant evidence": with_evidence(lambda _, values: values * 0 + 1),
        "noise for evidence": with_evidence(
            lambda index, values: np.random.default_rng(index).exponential(1, len(values))
        ),
        "evidence of another": with_evidence(
            lambda index, _: np.nan_to_num(
                np.asarray(claims[after[columns[index]]].cast(pa.float64()).to_numpy(), dtype=np.float64)
            )
        ),
        "evidence doubled": with_evidence(lambda _, values: values * 2),
        "100 claims": few(100),
        "300 claims": few(300),
        "1,000 claims": few(1_000),
        "3,000 claims": few(3_000),
        "10,000 claims": few(10_000),
    }


if __name__ == "__main__":
    main()
