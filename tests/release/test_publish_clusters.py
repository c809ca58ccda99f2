"""Publish: the table that the API reads is made in parts of whole clusters and stands in their order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ml.parallel import in_order
from ml.release import ReleaseStore, RunToken, tables
from tests.release.conftest import ROWS, MakeCandidate
from tests.release.instances import sql


def _backwards(rows: list[dict[str, Any]]) -> None:
    rows.reverse()


def _last_first(work: Callable[[Any], Any], parts: list[Any], _threads: int) -> Iterator[Any]:
    """In place of `in_order`: every part is inserted before the one in front of it, the worst that threads may do."""
    yield from reversed([work(part) for part in reversed(parts)])


PARTS: list[tuple[dict[str, Any], int, int]] = [
    ({"in_file_order": True}, 1, 5),  # RITL and one province, then RJTL and four
    ({"in_file_order": True}, 100, 3),
    ({"in_file_order": True}, ROWS, 1),
    ({"in_file_order": True, "change": _backwards}, 1, 1),
    ({"in_file_order": False}, 1, 1),
]


@pytest.mark.parametrize(("how", "part_rows", "parts"), PARTS)
def test_the_parts_of_a_release_are_whole_clusters_that_hold_every_claim(
    make_candidate: MakeCandidate, how: dict[str, Any], part_rows: int, parts: int
) -> None:
    candidate = make_candidate(**how)
    with duckdb.connect() as connection:
        for name, file in (("scores", candidate.scores), ("claims", candidate.claims)):
            connection.read_parquet(str(file), file_row_number=True).create_view(name)
        found = tables.run(connection, "15_parts.sql", part_rows=part_rows)
        assert len(found) == parts
        assert [first for first, _ in found] == [0, *(last + 1 for _, last in found[:-1])]
        assert found[-1][1] == ROWS - 1
        if parts > 1:
            for first, last in found:
                cut = f"file_row_number BETWEEN {first} AND {last}"
                clusters = "SELECT DISTINCT service_type, severity_group, province_code FROM claims WHERE"
                inside = connection.sql(f"{clusters} {cut}").fetchall()
                outside = connection.sql(f"{clusters} NOT ({cut})").fetchall()
                assert not {*inside} & {*outside}


@pytest.mark.parametrize(("how", "part_rows", "_parts"), PARTS)
@pytest.mark.parametrize(
    ("threads", "rows_at_a_time", "worker"),
    [(1, 600_000, in_order), (2, 600_000, in_order), (2, 0, in_order), (2, 600_000, _last_first)],
)
def test_what_the_api_reads_is_joined_and_clustered_without_personal_keys(
    instance: Path,
    make_candidate: MakeCandidate,
    monkeypatch: pytest.MonkeyPatch,
    how: dict[str, Any],
    part_rows: int,
    _parts: int,
    threads: int,
    rows_at_a_time: int,
    worker: Callable[..., Iterator[Any]],
) -> None:
    monkeypatch.setattr(tables, "PART_ROWS", part_rows)
    monkeypatch.setattr(tables, "ROWS_AT_A_TIME", rows_at_a_time)
    monkeypatch.setattr(tables, "in_order", worker)
    published = ReleaseStore(instance, threads=threads).publish(make_candidate(**how), RunToken("night", 1))
    database = published.path / "analytics.duckdb"
    columns = [name for (name,) in sql(database, "SELECT column_name FROM (DESCRIBE claims_high_risk)")]
    assert {"risk_score", "flags", "reasons", "amount_claimed", "facility_key", "peer_p90"} <= set(columns)
    assert not {"patient_key", "family_key"} & set(columns)
    # Scores, claims less both keys and what both have, peers, the diagnoses and the codes that reasons speak of.
    assert len(columns) == len(set(columns)) == 13 + 42 - 4 + 5 + 3
    order = (
        "service_type, severity_group, province_code, risk_score DESC NULLS LAST, ml_score DESC NULLS LAST, "
        "amount_claimed DESC NULLS LAST, claim_id"
    )
    as_stored = sql(database, "SELECT claim_id FROM claims_high_risk")
    assert len(as_stored) == ROWS
    assert as_stored == sql(database, f"SELECT claim_id FROM claims_high_risk ORDER BY {order}")
    assert b"person-" not in database.read_bytes()
