"""What an operator does in Airflow's UI, in a real browser: backfills, a run from the form, the graph, a rollback.

In the order of the file; each test starts from what the one before left. What the page says is held against the API,
the files and DuckDB. UI_SCREENSHOTS=folder keeps the pictures.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote

import duckdb
import pytest
from selenium.webdriver.remote.webelement import WebElement

from ml.clock import etl_tick
from ml.nightly import store_of
from ops.local_airflow import DagRun
from tests.e2e.browser import MODAL, Page, chromium
from tests.e2e.conftest import ETL, ROWS, SCORING, Operator, operator_on, scoring_tick, tonight

pytestmark = [pytest.mark.e2e, pytest.mark.e2e_slow]

ROLLBACK = "claims_scores_rollback"
NIGHTS = [date(2026, 2, 27) + timedelta(days=number) for number in range(3)]  # over a month's end
TOP_K = 7
TIMEOUT = 600
IN_ORDER = (
    "recover", "wait_for_etl", "score_claims", "audit_candidate", "backup_and_swap", "quality_check", "qc_summary",
    "restore_on_failure",
)  # fmt: skip


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    with operator_on(tmp_path_factory.mktemp("ui")) as operator:
        operator.airflow.wait_for_dags([ROLLBACK])
        yield operator


@pytest.fixture(scope="module")
def browser(stack: Operator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    kept = os.environ.get("UI_SCREENSHOTS")
    folder = Path(kept) if kept else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    with chromium() as driver:
        page = Page(driver, stack.airflow.base_url, folder)
        page.sign_in(stack.airflow.username, stack.airflow.password)
        yield page


@pytest.fixture
def page(browser: Page, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The browser; when the test fails, a picture of what it saw last."""
    failed = request.session.testsfailed
    yield browser
    if request.session.testsfailed > failed:
        browser.shot(f"failed-{request.node.name}")


def qc_logs(stack: Operator) -> dict[str, dict[str, Any]]:
    """What each QC log says in short, by run."""
    logs = [json.loads(log.read_text())["summary"] for log in sorted(stack.settings.logs.glob("ml_scores_qc_2*.json"))]
    assert len({log["run_id"] for log in logs}) == len(logs), "a run with two QC logs"
    return {log["run_id"]: log for log in logs}


def live_table(stack: Operator) -> list[tuple[Any, ...]]:
    """What readers see in DuckDB."""
    with duckdb.connect(str(stack.settings.instance_dir / "analytics.duckdb"), read_only=True) as connection:
        return connection.sql("FROM claims_ml_scores ORDER BY claim_id").fetchall()


def released_table(stack: Operator, release: str) -> list[tuple[Any, ...]]:
    """What a release holds, live or not."""
    path = stack.settings.instance_dir / "releases" / release / "claims_ml_scores.parquet"
    return duckdb.sql(f"FROM '{path}' ORDER BY claim_id").fetchall()


def previous_of_live(stack: Operator) -> tuple[str, str]:
    """The live release and the one before it."""
    live = store_of(stack.settings).live()
    assert live is not None
    assert live.manifest.previous is not None
    return live.id, live.manifest.previous


def all_succeed(stack: Operator, dag_id: str) -> list[DagRun]:
    """Wait for the runs of the missed nights."""
    runs = []
    for day in NIGHTS:
        run = stack.airflow.client.run_of(dag_id, etl_tick(day) if dag_id == ETL else scoring_tick(day))
        assert run is not None, (dag_id, day)
        runs.append(stack.airflow.client.wait(run, timeout=TIMEOUT))
    assert [run.state for run in runs] == ["success"] * len(NIGHTS)
    assert [run.run_id.split("__")[0] for run in runs] == ["backfill"] * len(NIGHTS)
    return runs


def test_the_etl_of_three_missed_nights_by_the_backfill_form(stack: Operator, page: Page) -> None:
    """In UTC, as the UI comes: a night's runs lie on the evening before."""
    first, last = (night - timedelta(days=1) for night in (NIGHTS[0], NIGHTS[-1]))
    said = page.backfill(ETL, datetime.combine(first, time(0, 0)), datetime.combine(last, time(23, 59)))
    assert said == "3 runs will be triggered."
    page.shot("etl-backfill-form")
    page.send_backfill()
    all_succeed(stack, ETL)
    assert len(stack.airflow.client.runs(ETL)) == len(NIGHTS), "more nights than were asked for"
    claims = stack.settings.data / "claims_normalized"
    assert sorted(path.stem for path in claims.glob("*.parquet")) == [str(day) for day in NIGHTS]


def test_the_scores_of_three_missed_nights_by_the_backfill_form(stack: Operator, page: Page) -> None:
    """With the clock set to Jakarta, where a night has its data date."""
    page.choose_timezone("Asia/Jakarta", "+07:00")
    first, last = datetime.combine(NIGHTS[0], time(0, 0)), datetime.combine(NIGHTS[-1], time(23, 59))
    assert page.backfill(SCORING, first, last) == "3 runs will be triggered."
    page.shot("backfill-form", page.find(MODAL))
    page.send_backfill()
    runs = all_succeed(stack, SCORING)
    assert len(stack.airflow.client.runs(SCORING)) == len(NIGHTS)
    logs = qc_logs(stack)
    assert {run.run_id: str(day) for run, day in zip(runs, NIGHTS, strict=True)} == {
        run_id: log["data_date"] for run_id, log in logs.items()
    }
    store = store_of(stack.settings)
    assert [release.manifest.data_date for release in store.releases()] == NIGHTS
    assert store.live_id() == logs[runs[-1].run_id]["release_id"], "the newest night is live"
    assert live_table(stack) == released_table(stack, str(store.live_id()))
    assert len(live_table(stack)) == ROWS


def test_the_form_asks_for_every_parameter_in_words(stack: Operator, page: Page) -> None:
    page.open_form(SCORING)
    page.shot("trigger-form", page.find(MODAL))
    asked = page.fields()
    assert list(asked) == ["top_k", "data_date", "model_version", "ruleset_version", "force"]
    params = stack.api("GET", f"/dags/{SCORING}/details").json()["params"]
    for name, field in asked.items():
        assert field.title == params[name]["schema"]["title"], name
        assert field.text == params[name]["description"], name
        assert field.text, name


@pytest.mark.parametrize(
    ("top_k", "reason"),
    [("0", "0 is less than the minimum of 1"), ("20000", "20000 is greater than the maximum of 10000")],
)
def test_a_wrong_value_is_refused_with_the_reason_before_ones_eyes(
    stack: Operator, page: Page, top_k: str, reason: str
) -> None:
    """Catches bounds where the form sees them: it then makes 10000 of 20000 and starts the run."""
    before = stack.airflow.client.runs(SCORING)
    page.open_form(SCORING)
    page.fill("top_k", top_k)
    assert f"Invalid input for param top_k: {reason}" in page.refusal()
    page.shot(f"refused-{top_k}")
    assert stack.airflow.client.runs(SCORING) == before


def test_a_run_from_the_form_after_a_slip(stack: Operator, page: Page) -> None:
    client, today = stack.airflow.client, tonight()
    assert client.wait(stack.etl_run(today), timeout=TIMEOUT).state == "success"
    page.open_form(SCORING)
    page.fill("top_k", "20000")
    page.refusal()
    page.fill("top_k", str(TOP_K))
    run = client.run(SCORING, page.start())
    assert client.wait(run, timeout=TIMEOUT).state == "success"
    page.until_success()
    page.shot("run-from-form")
    log = qc_logs(stack)[run.run_id]
    assert (log["top_k"], log["top_k_requested"], log["data_date"]) == (TOP_K, TOP_K, str(today))
    live, before = previous_of_live(stack)
    assert (live, before) == (log["release_id"], qc_logs(stack)[newest_backfill(stack)]["release_id"])
    table = live_table(stack)
    assert table == released_table(stack, live)
    with duckdb.connect(str(stack.settings.instance_dir / "analytics.duckdb"), read_only=True) as connection:
        seen = connection.execute(
            "SELECT avg(risk_score) FROM (SELECT risk_score FROM claims_ml_scores ORDER BY risk_score DESC LIMIT ?)",
            [TOP_K],
        ).fetchone()
    assert seen is not None
    assert log["risk_score_top_k_mean"] == pytest.approx(seen[0]), "QC looked at other claims"


def newest_backfill(stack: Operator) -> str:
    run = stack.airflow.client.run_of(SCORING, scoring_tick(NIGHTS[-1]))
    assert run is not None
    return run.run_id


def graph_of(page: Page, run: DagRun, tasks: int) -> list[WebElement]:
    """The tasks of a run in the graph view, from left to right."""
    page.driver.get(f"{page.base_url}/dags/{run.dag_id}/runs/{quote(run.run_id, safe='')}")
    page.click("button[aria-label^='Show Graph']")
    page.until(lambda: len(page.all(".react-flow__node [data-testid=state-badge]")) == tasks, "a state for each task")
    page.until(lambda: len({node.rect["x"] for node in page.all(".react-flow__node")}) == tasks, "the layout")
    return sorted(page.all(".react-flow__node"), key=lambda node: node.rect["x"])


def test_the_graph_shows_the_night_from_left_to_right_and_green(stack: Operator, page: Page) -> None:
    run = stack.airflow.client.runs(SCORING)[0]
    nodes = graph_of(page, run, len(IN_ORDER))
    page.shot("graph-page")
    page.shot("graph", *nodes, edge=10, scale=1.6)  # of small print
    assert tuple(node.get_attribute("data-id") for node in nodes) == IN_ORDER
    arrows = {edge.get_attribute("data-id") for edge in page.all(".react-flow__edge")}
    assert arrows == {f"{one}-{other}" for one, other in pairwise(IN_ORDER)}
    shown = {node.get_attribute("data-id"): node.text.splitlines()[-1] for node in nodes}
    assert shown == dict.fromkeys(IN_ORDER[:-1], "success") | {"restore_on_failure": "skipped"}
    assert shown == {task.task_id: task.state for task in stack.airflow.client.tasks(SCORING, run.run_id)}


def test_the_release_before_from_the_rollback_form(stack: Operator, page: Page) -> None:
    live, before = previous_of_live(stack)
    assert live_table(stack) != released_table(stack, before)

    def offered() -> list[str]:
        return stack.api("GET", f"/dags/{ROLLBACK}/details").json()["params"]["release"]["schema"]["examples"]

    page.driver.get(f"{page.base_url}/dags/{ROLLBACK}")
    page.click("button[aria-label='Reparse Dag']")
    stack.until(lambda: live in offered(), what="the newest release in the list")
    page.open_form(ROLLBACK)
    choices = [option.get_attribute("value") for option in page.all("datalist#list_release option")]
    assert choices == sorted(store_of(stack.settings).ids(), reverse=True)
    page.fill("release", before)
    page.fill("reason", "Tarif RS kelas C salah, tiket 123")
    page.shot("rollback-form", page.find(MODAL))
    run = stack.airflow.client.run(ROLLBACK, page.start())
    assert stack.airflow.client.wait(run, timeout=TIMEOUT).state == "success"
    page.until_success()
    page.shot("rollback-run")
    store = store_of(stack.settings)
    assert store.live_id() == before
    assert store.verify(before) == []
    assert live_table(stack) == released_table(stack, before)
    last = store.journal()[-1]
    assert (last.event, last.release_id, last.previous) == ("rolled_back", before, live)
    assert (last.reason, last.who) == ("Tarif RS kelas C salah, tiket 123", f"admin (Airflow run {run.run_id})")
