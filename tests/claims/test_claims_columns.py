"""The hand-made claims of other tests have the columns and types that the ETL writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq

from ml.claims.etl import publish_claims, run_sql_steps, start_build
from ml.rules import load_ruleset
from ml.scoring.by_channels import columns_of
from ml.settings import Settings
from tests.claims.conftest import DATA_DATE, claim, diagnosis
from tests.claims_columns import ORDINARY


def test_columns_of_hand_made_claims_are_the_etls(
    raw_files: Callable[..., Path], make_settings: Callable[..., Settings]
) -> None:
    raw_files([claim(n) for n in range(3)], [diagnosis(0)])
    settings = make_settings()
    build, _ = start_build(settings, DATA_DATE, "test")
    run_sql_steps(settings, build)
    written = pq.read_schema(publish_claims(settings, build).path)
    for name, (kind, _) in ORDINARY.items():
        assert written.field(name).type == kind, name
    assert {name.split(".")[0] for name in columns_of(load_ruleset("RULESET_v2"))} <= set(written.names)
