"""The table of providers: what is wrong with it is found and named, and such a release does not become live."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from ml.release import ReleaseError, ReleaseStore, RunToken, tables
from ml.sql import sql_text
from tests.claims_columns import PATTERNS_TYPE, PROVIDER, PROVIDER_TYPE
from tests.release.conftest import Publish, write_candidate

ONE, TWO, THREE = (f"provider_risk: facility 'facility_key {number}' has" for number in range(3))
"""The riskiest of the three facilities, and two that tie."""
NOBODY = "provider_risk: facility None has"


@pytest.fixture(scope="module")
def good_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tables of a good release, in a file that may be written to."""
    folder = tmp_path_factory.mktemp("providers")
    published = ReleaseStore(folder / "instance").publish(write_candidate(folder / "candidate"), RunToken("night", 1))
    return Path(shutil.copyfile(published.path / "analytics.duckdb", folder / "analytics.duckdb"))


@pytest.fixture
def connection(good_database: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to it whose changes nobody keeps."""
    with duckdb.connect(good_database) as opened:
        opened.begin()
        yield opened
        opened.rollback()


@pytest.mark.parametrize(
    ("change", "problems"),
    [
        ("DELETE FROM provider_risk WHERE facility_key = 'facility_key 2'", [f"{THREE} rows 0 instead of 1"]),
        (
            "DELETE FROM provider_risk WHERE rank = 1",  # what moves the others' ranks is told first
            [f"{ONE} rows 0 instead of 1", *(f"{name} rank 2 instead of 1" for name in (TWO, THREE))],
        ),
        ("DELETE FROM provider_risk", [f"{name} rows 0 instead of 1" for name in (ONE, TWO, THREE)]),
        (
            "INSERT INTO provider_risk FROM provider_risk WHERE facility_key = 'facility_key 2'",
            [f"{THREE} rows 2 instead of 1"],
        ),
        ("DELETE FROM claims_high_risk WHERE facility_key = 'facility_key 0'", [f"{ONE} rows 1 instead of 0"]),
        (
            "UPDATE provider_risk SET facility_key = NULL WHERE rank = 1",
            [f"{ONE} rows 0 instead of 1", f"{NOBODY} rows 1 instead of 0"],
        ),
        (
            "UPDATE provider_risk SET provider_risk_score = 'nan' WHERE rank = 1",
            [f"{ONE} provider_risk_score nan instead of a number from 0 to 1"],
        ),
        (
            "UPDATE provider_risk SET provider_risk_score = 'nan' WHERE facility_key = 'facility_key 2'",
            [
                f"{THREE} provider_risk_score nan instead of a number from 0 to 1",
                f"{ONE} rank 1 instead of 2",
                f"{TWO} rank 2 instead of 3",
                f"{THREE} rank 2 instead of 1",
            ],
        ),
        (
            "UPDATE provider_risk SET provider_risk_score = NULL WHERE rank = 1",
            [
                f"{ONE} provider_risk_score None instead of a number from 0 to 1",
                f"{ONE} rank 1 instead of 3",
                *(f"{name} rank 2 instead of 1" for name in (TWO, THREE)),
            ],
        ),
        (
            "UPDATE provider_risk SET provider_risk_score = 1.01 WHERE rank = 1",
            [f"{ONE} provider_risk_score 1.01 instead of a number from 0 to 1"],
        ),
        (
            "UPDATE provider_risk SET provider_risk_score = -0.01 WHERE rank = 2",
            [f"{name} provider_risk_score -0.01 instead of a number from 0 to 1" for name in (TWO, THREE)],
        ),
        ("UPDATE provider_risk SET claims = NULL WHERE rank = 1", [f"{ONE} claims None instead of 100"]),
        (
            "UPDATE provider_risk SET claims = claims + 1, amount_claimed = 0 WHERE rank = 1",
            [f"{ONE} amount_claimed 0 instead of 59033000", f"{ONE} claims 101 instead of 100"],
        ),
        (
            "UPDATE provider_risk SET excess_amount = 0 WHERE rank = 1",
            [f"{ONE} excess_amount 0 instead of 14850000"],
        ),
        (
            "UPDATE provider_risk SET high_risk_claims = 0 WHERE rank = 1",
            [f"{ONE} high_risk_claims 0 instead of 75"],
        ),
        ("UPDATE provider_risk SET reasons = '[]' WHERE rank = 1", [f"{ONE} reasons 0 instead of 1 to 3"]),
        ("UPDATE provider_risk SET reasons = NULL WHERE rank = 1", [f"{ONE} reasons None instead of 1 to 3"]),
        ("UPDATE provider_risk SET reasons = '[1, ' WHERE rank = 1", [f"{ONE} reasons None instead of 1 to 3"]),
        ("UPDATE provider_risk SET reasons = '[1, 2, 3, 4]' WHERE rank = 1", [f"{ONE} reasons 4 instead of 1 to 3"]),
        ("UPDATE provider_risk SET rank = 2 WHERE rank = 1", [f"{ONE} rank 2 instead of 1"]),
        ("UPDATE provider_risk SET rank = NULL WHERE rank = 1", [f"{ONE} rank None instead of 1"]),
        ("UPDATE provider_risk SET rank = 3 WHERE rank = 2", [f"{name} rank 3 instead of 2" for name in (TWO, THREE)]),
        (
            "UPDATE provider_risk SET provider_risk_score = 0.2 WHERE rank = 1",  # below the others, first all the same
            [f"{ONE} rank 1 instead of 3", *(f"{name} rank 2 instead of 1" for name in (TWO, THREE))],
        ),
    ],
)
def test_what_is_wrong_with_a_provider_is_named(
    connection: duckdb.DuckDBPyConnection, change: str, problems: list[str]
) -> None:
    [(changed,)] = connection.execute(change).fetchall()
    assert changed > 0
    assert tables.provider_problems(connection) == problems


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE provider_risk SET reasons = reasons",
        "UPDATE provider_risk SET rank = 3 WHERE facility_key = 'facility_key 1'",  # one of two with one score
        "UPDATE provider_risk SET rank = 3, provider_risk_score = 0.3 + 1e-15 WHERE facility_key = 'facility_key 1'",
        "UPDATE provider_risk SET rank = 1, provider_risk_score = 0",
        "UPDATE provider_risk SET provider_risk_score = 1 WHERE rank = 1",
    ],
)
def test_ranks_of_one_score_may_be_one_or_not(connection: duckdb.DuckDBPyConnection, change: str) -> None:
    connection.execute(change)
    assert tables.provider_problems(connection) == []


@pytest.mark.parametrize(
    ("right", "wrong", "problem"),
    [
        ("LEFT JOIN wide ON", "INNER JOIN wide ON", f"{ONE} rows 0 instead of 1"),  # no patterns, no provider
        (
            "providers.provider.risk_score AS provider_risk_score",
            "'nan'::DOUBLE AS provider_risk_score",
            f"{ONE} provider_risk_score nan instead of a number from 0 to 1",
        ),
        ("    providers.provider.rank,", "    4 - providers.provider.rank AS rank,", f"{ONE} rank 3 instead of 1"),
        (
            "\n    providers.provider.excess_amount,",
            "\n    providers.provider.amount_claimed AS excess_amount,",
            f"{ONE} excess_amount 59033000 instead of 14850000",
        ),
    ],
)
def test_a_release_with_wrong_providers_does_not_become_live(
    store: ReleaseStore, publish: Publish, monkeypatch: pytest.MonkeyPatch, right: str, wrong: str, problem: str
) -> None:
    """Whoever changes the table's statement, and makes a mistake."""
    live = publish("good").release_id

    def with_a_mistake(name: str) -> str:
        text = sql_text(name)
        if name == "release/50_provider_risk.sql":
            assert text.count(right) == 1
            text = text.replace(right, wrong)
        return text

    monkeypatch.setattr(tables, "sql_text", with_a_mistake)
    with pytest.raises(ReleaseError) as refusal:
        publish("night")
    assert str(refusal.value).startswith(f"the candidate is refused: {problem}")
    assert store.live_id() == live
    assert len(store.releases()) == 1


@pytest.mark.parametrize(
    ("pattern", "among", "text_id", "text_en"),
    [
        ("short_stay", 1200,
         "31 rawat inap singkat (5% tersingkat sejenisnya) di antara 1.200 rawat inap, wajarnya 4,2",
         "31 short stays (the shortest 5% of their kind) in 1,200 stays where 4.2 would be expected"),
        ("severity", 1200, "31 poin keparahan (II = 1, III = 2) di antara 1.200 rawat inap, wajarnya 4,2",
         "31 severity points (II = 1, III = 2) in 1,200 stays where 4.2 would be expected"),
        ("single_visit", 300,
         "31 kunjungan tunggal (pada <8% kunjungan dengan diagnosisnya) di antara 300 kunjungan, wajarnya 4,2",
         "31 single visits (<8% of visits with their diagnosis) in 300 visits where 4.2 would be expected"),
        ("strong", 1500, "31 klaim berbukti kuat (pola apa pun) di antara 1.500 klaim, wajarnya 4,2",
         "31 claims with strong evidence (of any pattern) in 1,500 claims where 4.2 would be expected"),
    ],
)  # fmt: skip
def test_a_habit_is_told_among_what_can_show_it(pattern: str, among: int, text_id: str, text_en: str) -> None:
    habit = {"pattern": pattern, "observed": 31, "expected": 4.2, "ratio": 3.0, "deviance": 20.0}
    claims = pa.table(
        {
            "service_type": ["RITL"] * 1200 + ["RJTL"] * 300,
            **{name: ["x"] * 1500 for name in ("facility_key", "facility_key_source", "province_name")},
            **{name: ["x"] * 1500 for name in ("facility_ownership", "facility_type", "facility_class")},
            "regency_code": [1] * 1500,
            "risk_score": [0.5] * 1500,
            "data_date": ["2022-12-31"] * 1500,
            "provider": pa.array([PROVIDER | {"claims": 1500}] * 1500, PROVIDER_TYPE),
            "provider_patterns": pa.array([[habit]] + [None] * 1499, PATTERNS_TYPE),
        }
    )
    with duckdb.connect() as connection:
        for name in ("claims", "claims_high_risk"):
            connection.register(name, claims)
        connection.execute(sql_text("scoring/00_macros.sql"))
        connection.execute(sql_text("release/50_provider_risk.sql"))
        [(written,)] = connection.execute("SELECT reasons FROM provider_risk").fetchall()
    reason = json.loads(written)[0]
    assert (reason["code"], reason["text_id"], reason["text_en"]) == (pattern, text_id, text_en)
    assert (reason["figures"]["among"], reason["figures"]["claims"]) == (among, 1500)
