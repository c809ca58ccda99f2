"""What every DAG must be, and the order of the night: publishing after every check, restoring after everything."""

from __future__ import annotations

import ast
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.dags.conftest import DAGS_FOLDER, ParsedWith

OURS = {"claims_alerts", "claims_metrics", "claims_risk", "claims_waiting", "ml"}
ALLOWED = OURS | {"__future__", "airflow", "dataclasses", "datetime", "typing"}
TAGS = {"claims", "etl", "scoring", "model", "alerts"}


def upstream_of(dag: dict[str, Any], task_id: str) -> set[str]:
    """Every task before a task, walked transitively."""
    direct = set(dag["tasks"][task_id]["upstream"])
    return direct | {earlier for one in direct for earlier in upstream_of(dag, one)}


def test_exactly_these_dags_and_no_import_error(parsed: dict[str, Any]) -> None:
    assert parsed["errors"] == {}
    assert set(parsed["dags"]) == {
        "claims_normalized",
        "claims_risk_scoring",
        "claims_scores_rollback",
        "claims_watchdog",
        "train_risk_model",
    }


def test_parsing_imports_nothing_heavy(parsed: dict[str, Any]) -> None:
    assert parsed["heavy"] == []


def test_dag_files_only_wire() -> None:
    for path in DAGS_FOLDER.glob("*.py"):
        imported = set()
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.split(".")[0])
        assert imported <= ALLOWED, path


def test_every_dag_tells_its_output_impact_and_triage(dags: dict[str, Any]) -> None:
    for dag_id, dag in dags.items():
        for part in ("**Output.**", "**Impact of failure.**", "**Triage.**"):
            assert part in dag["doc"], f"{dag_id} lacks {part}"
        assert set(dag["tags"]) <= TAGS, dag_id
        assert dag["tags"], dag_id
        assert dag["owner"] == "claims-data", dag_id


def test_schedules_are_jakartas_and_nothing_catches_up(dags: dict[str, Any]) -> None:
    assert (dags["claims_normalized"]["schedule"], dags["claims_risk_scoring"]["schedule"]) == (
        "0 1 * * *",
        "0 2 * * *",
    )
    for dag in dags.values():
        assert dag["timezone"] == "Asia/Jakarta"
        assert dag["catchup"] is False
        assert dag["max_active_runs"] == 1


def test_the_order_of_the_night(dags: dict[str, Any]) -> None:
    dag = dags["claims_risk_scoring"]
    order = [
        "recover",
        "wait_for_etl",
        "score_claims",
        "audit_candidate",
        "backup_and_swap",
        "quality_check",
        "qc_summary",
    ]
    assert set(dag["tasks"]) == {*order, "restore_on_failure"}
    for place, task_id in enumerate(order):
        assert upstream_of(dag, task_id) == set(order[:place])
    assert "ExternalTaskSensor" in dag["tasks"]["wait_for_etl"]["kinds"]


def test_the_order_of_the_etl(dags: dict[str, Any]) -> None:
    dag = dags["claims_normalized"]
    order = [
        "check_contract",
        "conform_claims",
        "compare_with_peers",
        "find_repeats",
        "weigh_evidence",
        "assemble_claims",
        "publish_claims",
    ]
    assert set(dag["tasks"]) == set(order)
    for place, task_id in enumerate(order):
        assert upstream_of(dag, task_id) == set(order[:place])
    assert {dag["tasks"][task_id]["kind"] for task_id in order[1:5]} == {"SQLExecuteQueryOperator"}
    assert {task["pool"] for task in dag["tasks"].values()} == {"claims_etl"}


def test_a_model_is_judged_before_it_is_promoted_once_a_month_after_the_nights_scoring(dags: dict[str, Any]) -> None:
    dag = dags["train_risk_model"]
    assert set(dag["tasks"]) == {"train_model", "judge_model", "promote_model"}
    assert upstream_of(dag, "judge_model") == {"train_model"}
    assert upstream_of(dag, "promote_model") == {"train_model", "judge_model"}
    assert {task["trigger_rule"] for task in dag["tasks"].values()} == {"all_success"}
    assert dag["schedule"] == "30 3 2 * *"
    assert dag["params"] == {"data_date": None, "seed": None, "promote": True}


def test_claims_and_scores_are_assets(dags: dict[str, Any]) -> None:
    """The scores' event comes after their QC: nobody is to start on scores that may be taken back."""
    etl, scoring = dags["claims_normalized"]["tasks"], dags["claims_risk_scoring"]["tasks"]
    assert {name: task["outlets"] for name, task in (etl | scoring).items() if task["outlets"]} == {
        "publish_claims": ["claims_normalized"],
        "quality_check": ["claims_ml_scores"],
    }
    assert {name for name, task in scoring.items() if task["inlets"] == ["claims_normalized"]} == {
        "wait_for_etl",
        "score_claims",
    }


def test_restore_is_wired_four_ways(dags: dict[str, Any]) -> None:
    dag = dags["claims_risk_scoring"]
    watcher = dag["tasks"].pop("restore_on_failure")
    assert "recover" in upstream_of(dag, "backup_and_swap")
    assert all(task["on_failure"] == ["restore_on_failure", "note_failure"] for task in dag["tasks"].values())
    assert (watcher["trigger_rule"], watcher["upstream"]) == ("one_failed", ["qc_summary"])
    assert dag["on_failure"] == ["restore_on_failure", "tell_failure"]


def test_who_is_told_is_wired_into_every_dag_but_the_watchdog(dags: dict[str, Any]) -> None:
    """docs/failures.md says why not into that one."""
    for dag_id in set(dags) - {"claims_watchdog"}:
        dag = dags[dag_id]
        assert dag["on_failure"][-1] == "tell_failure"
        assert dag["on_success"] == ["tell_success"]
        assert {tuple(task["on_execute"]) for task in dag["tasks"].values()} == {("note_begun",)}
        noted = {name for name, task in dag["tasks"].items() if "note_failure" in task["on_failure"]}
        assert noted == set(dag["tasks"]) - {"restore_on_failure"}


def test_the_watchdog_looks_every_five_minutes(dags: dict[str, Any]) -> None:
    assert dags["claims_watchdog"]["schedule"] == "*/5 * * * *"
    assert set(dags["claims_watchdog"]["tasks"]) == {"watch"}


def test_publishing_and_its_qc_run_one_at_a_time(dags: dict[str, Any]) -> None:
    tasks = dags["claims_risk_scoring"]["tasks"]
    assert {name for name, task in tasks.items() if task["pool"] == "claims_publish"} == {
        "backup_and_swap",
        "quality_check",
    }


def test_what_has_begun_is_finished_first(dags: dict[str, Any]) -> None:
    """Of several nights in one pool, a release's QC goes before the next night's publication."""
    weights = dags["claims_risk_scoring"]["weights"]
    assert weights["quality_check"] > weights["backup_and_swap"]
    assert weights["restore_on_failure"] == max(weights.values())


def test_every_task_retries_with_a_delay_and_has_a_timeout(dags: dict[str, Any]) -> None:
    for dag_id, dag in dags.items():
        for task_id, task in dag["tasks"].items():
            if task_id == "restore_on_failure":
                continue
            if task["kind"] == "ApprovalOperator":
                assert task["retries"] == 0, "a question that nobody answers must not be asked again"
                continue
            assert task["retries"] >= 2, f"{dag_id}.{task_id}"
            assert task["retry_delay"] >= 30, f"{dag_id}.{task_id}"
            has_its_own = task["kind"] == "EtlSensor"
            assert task["execution_timeout"] or has_its_own, f"{dag_id}.{task_id}"


@pytest.mark.parametrize("dag_id", ["claims_normalized", "claims_risk_scoring", "train_risk_model"])
def test_data_date_is_a_parameter(dags: dict[str, Any], dag_id: str) -> None:
    assert "data_date" in dags[dag_id]["params"]


def test_scoring_waits_deferred_for_the_last_task_of_the_etl_and_a_run_outlasts_the_wait(
    dags: dict[str, Any], parsed_with: ParsedWith
) -> None:
    for hours, dag in ((4, dags["claims_risk_scoring"]), (1.5, parsed_with(CLAIMS_ETL_DEADLINE_HOURS="1.5"))):
        sensor = dag["tasks"]["wait_for_etl"]
        assert (sensor["waits_for"], sensor["deferrable"]) == (["claims_normalized", "publish_claims"], True)
        assert sensor["timeout"] == hours * 3600
        assert dag["dagrun_timeout"] == (hours + 2) * 3600
    etl = dags["claims_normalized"]["tasks"]
    assert [name for name in etl if not any(name in task["upstream"] for task in etl.values())] == ["publish_claims"]


def test_a_wrong_setting_does_not_hide_the_dag(parsed_with: ParsedWith) -> None:
    dag = parsed_with(CLAIMS_ETL_DEADLINE_HOURS="forever")
    assert dag["tasks"]["wait_for_etl"]["timeout"] == 4 * 3600


def test_top_k_is_the_settings_unless_somebody_chooses(dags: dict[str, Any]) -> None:
    assert dags["claims_risk_scoring"]["params"]["top_k"] is None


def test_no_form_puts_a_bound_in_the_place_of_a_wrong_number(dags: dict[str, Any]) -> None:
    """Airflow's form does so with bounds at the top of a schema; in allOf only the API sees them, and refuses."""
    found = {f"{dag_id}.{name}": schema for dag_id, dag in dags.items() for name, schema in dag["schemas"].items()}
    assert [name for name, schema in found.items() if {"minimum", "maximum"} & set(schema)] == []
    assert found["claims_risk_scoring.top_k"]["allOf"] == [{"minimum": 1, "maximum": 10_000}]


@pytest.mark.parametrize(("reason", "kept"), [("salah tarif", True), (" x  ", True), ("    ", False), ("ab", False)])
def test_a_rollback_wants_a_reason(dags: dict[str, Any], reason: str, kept: bool) -> None:
    schema = dags["claims_scores_rollback"]["schemas"]["reason"]
    assert Draft202012Validator(schema).is_valid(reason) is kept


def test_a_rollback_is_shown_before_it_is_done_and_done_as_one_writer(dags: dict[str, Any]) -> None:
    dag = dags["claims_scores_rollback"]
    assert upstream_of(dag, "roll_back") == {"show_effect", "ask_first", "approve"}
    assert upstream_of(dag, "show_result") == {"roll_back", *upstream_of(dag, "roll_back")}
    assert (dag["tasks"]["roll_back"]["pool"], dag["schedule"]) == ("claims_publish", "None")
    # A rejected or not wanted question skips "approve"; the rejection itself skips "roll_back".
    assert dag["tasks"]["roll_back"]["trigger_rule"] == "none_failed_min_one_success"
    assert dag["params"]["release"] is None
