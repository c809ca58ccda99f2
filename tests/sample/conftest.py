"""One sample of 100,000 claims for all tests of the generator, and SQL over it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import duckdb
import pytest

from ml.sample import GeneratorConfig, Sample, generate

Ask = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture(scope="session")
def sample() -> Sample:
    return generate(GeneratorConfig(claims=100_000, seed=2022))


def ask_about(sample: Sample) -> Ask:
    """SQL over `claims` (visits with labels, `los`, `topup` and `cell`: what the tariff depends on) and `diagnoses`."""
    connection = duckdb.connect()
    connection.register("raw_visits", sample.visits)
    connection.register("labels", sample.labels)
    connection.register("raw_diagnoses", sample.diagnoses)
    connection.execute(
        """
        CREATE TABLE claims AS
        SELECT
            v.*, l.* EXCLUDE (claim_id), FKL04 - FKL03 AS los, FKL34 + FKL37 + FKL40 + FKL43 + FKL46 AS topup,
            (FKL19, facility, FKL13) AS cell
        FROM raw_visits AS v JOIN labels AS l ON v.FKL02 = l.claim_id;
        CREATE TABLE diagnoses AS SELECT * FROM raw_diagnoses
        """
    )
    return lambda query: connection.execute(query).fetchall()


@pytest.fixture(scope="session")
def ask(sample: Sample) -> Ask:
    return ask_about(sample)
