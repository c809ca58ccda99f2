"""The words: what the person on call must find in every form of an alert."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from ml.alerts import Alert, Outcome, ReaderView, Story, compose
from ml.alerts.facts import Fate
from ml.alerts.incidents import AlertKind
from ml.qc.logs import Snapshot

NOW = datetime(2026, 11, 25, 19, 20, tzinfo=UTC)
SUMMARY = {
    "total_rows": 1_176_438,
    "top_k": 50,
    "amount_claimed_top_k_mean": 85_250_000.4,
    "los_le_1_ratio_top_k": 0.12,
    "failed_expectations": ["score_not_degenerate"],
    "changes": {"amount_claimed_top_k_mean_change": -0.403, "los_le_1_ratio_top_k_change": 0.02},
}
FAILED = Story(
    kind=AlertKind.FAILED,
    key="k",
    dag_id="claims_risk_scoring",
    run_id="scheduled__2026-11-25T19:00:00+00:00",
    attempt=0,
    data_date=date(2026, 11, 26),
    task_id="quality_check",
    error="QC of release x failed: <score> & more",
    readers=ReaderView("20261125-x-t01", date(2026, 11, 25), NOW - timedelta(hours=24), 1_176_000),
    outcome=Outcome(Fate.TAKEN_BACK, "20261126-y-t01"),
    snapshot=Snapshot(Path("x.json"), "20261125T192000Z", SUMMARY, {}, 50),
    of_run=True,
)

ROLLBACK: dict[str, object] = {"dag_id": "claims_scores_rollback", "data_date": None, "task_id": "show_effect"}

AGAIN = f"airflow dags clear claims_risk_scoring --run-id {FAILED.run_id} --yes"
SLOW = "Waited 4 h, no longer. The ETL of data date 2026-11-26 has not ended: run r is queued."
PAUSED = "DAG claims_normalized is paused, so that no run of it goes on: airflow dags unpause claims_normalized"
COLLAPSED = Snapshot(
    Path("x.json"), "20261125T192000Z", SUMMARY | {"failed_expectations": ["row_count_collapse"]}, {}, 50
)
REFUSED: dict[str, object] = {
    "dag_id": "train_risk_model",
    "task_id": "judge_model",
    "error": "The gate refuses risk-2ba7c302a068: average precision 0.611 is worse.",
    "of_run": False,
}
NOTHING_OLDER: dict[str, object] = ROLLBACK | {
    "outcome": Outcome(Fate.NONE),
    "error": "no older release is fit to be put back; list the releases and name one",
}


def words(story: Story) -> Alert:
    return compose(story, base_url="https://airflow.example/", now=NOW)


def test_a_failure_tells_everything_in_every_form() -> None:
    alert = words(FAILED)
    assert alert.subject == "[GAGAL] Skor risiko klaim, data 26 November 2026: quality_check"
    slack = json.dumps(alert.blocks, ensure_ascii=False)
    for form in (alert.text, alert.html, slack):
        for part in (
            "quality_check",
            "skor data 25 November 2026, 1.176.000 klaim, umur 24 jam",
            "(terbit 25-11-2026 02.20 WIB, rilis 20261125-x-t01)",
            "berhasil: rilis 20261126-y-t01 ditarik, rilis sebelumnya tayang lagi",
            "Rp 85.250.000",
            "−40,3% dari sebelumnya",
            "12,0%",
            "+2,0 poin dari sebelumnya",
            "score_not_degenerate",
            "scheduled__2026-11-25T19:00:00+00:00",
            "/dags/claims_risk_scoring/runs/scheduled__2026-11-25T19%3A00%3A00%2B00%3A00/tasks/quality_check",
        ):
            assert part.replace("+00:00", "&#43;00:00") in form.replace("+00:00", "&#43;00:00"), (part, form)


def test_markup_in_an_error_is_text() -> None:
    alert = words(FAILED)
    assert "<score>" not in alert.html
    assert "&lt;score&gt; &amp; more" in alert.html
    assert "&lt;score&gt; &amp; more" in alert.blocks[1]["text"]["text"]


@pytest.mark.parametrize(
    ("changes", "subject", "says"),
    [
        (
            {"kind": AlertKind.STILL, "nights": 3, "since": date(2026, 11, 24)},
            "MASIH GAGAL, malam ke-3",
            "sejak data 24",
        ),
        ({"kind": AlertKind.RECOVERED, "nights": 3, "since": date(2026, 11, 24)}, "[PULIH]", "berhasil lagi"),
        ({"kind": AlertKind.WARNING, "warnings": ("amount drift",)}, "[perhatian]", "amount drift"),
        ({"kind": AlertKind.DEADLINE, "run_id": None}, "[TERLAMBAT]", "Belum ada rilis skor untuk data 26"),
        ({"task_id": None, "error": None}, "[GAGAL]", "run dihentikan atau melewati batas waktu"),
        ({"readers": ReaderView()}, "[GAGAL]", "Tidak ada rilis skor yang tayang."),
        ({"readers": ReaderView("x", problem="manifest")}, "[GAGAL, SEGERA]", "RUSAK"),
        (
            {"kind": AlertKind.DEADLINE, "run_id": None, "readers": ReaderView("x", problem="no manifest")},
            "[RUSAK, SEGERA]",
            "tidak terbaca: no manifest",
        ),
        ({"kind": AlertKind.RECOVERED, "waiting_run": "r"}, "[PULIH]", "harus diulang"),
        ({"outcome": Outcome(Fate.UNCHECKED, "y")}, "[GAGAL, SEGERA]", "BELUM LOLOS QC: skor"),
        (
            {"outcome": Outcome(Fate.UNCHECKED, "y")},
            "[GAGAL, SEGERA]",
            "GAGAL: rilis y belum lolos QC tetapi masih tayang",
        ),
        ({"outcome": Outcome(Fate.NONE)}, "[GAGAL]", "belum menayangkan apa pun"),
        ({"outcome": Outcome(None)}, "[GAGAL, SEGERA]", "TIDAK DIKETAHUI"),
        (ROLLBACK | {"outcome": Outcome(Fate.NONE)}, "[GAGAL] Rollback skor: show_effect", "Rollback: belum dilakukan"),
        (
            ROLLBACK | {"task_id": "show_result", "outcome": Outcome(Fate.STAYS, "y")},
            "[GAGAL] Rollback skor: show_result",
            "Rollback: sudah dilakukan: rilis y tayang",
        ),
        (ROLLBACK | {"outcome": Outcome(Fate.REPLACED, "y")}, "[GAGAL]", "rilis y sudah digantikan rilis lain"),
        (ROLLBACK | {"outcome": Outcome(None)}, "[GAGAL, SEGERA]", "Rollback: TIDAK DIKETAHUI"),
    ],
)
def test_every_kind_says_what_it_is(changes: dict[str, object], subject: str, says: str) -> None:
    alert = words(replace(FAILED, **changes))  # type: ignore[arg-type]
    assert subject in alert.subject
    assert says in alert.text


@pytest.mark.parametrize(
    ("changes", "commands"),
    [
        (
            {},
            [AGAIN],
        ),
        ({"kind": AlertKind.RECOVERED}, []),
        (
            {"kind": AlertKind.RECOVERED, "dag_id": "claims_normalized", "waiting_run": "r"},
            ["airflow dags clear claims_risk_scoring --run-id r --yes"],
        ),
        ({"kind": AlertKind.DEADLINE}, ["airflow dags list-runs", "airflow dags unpause claims_normalized"]),
        ({"outcome": Outcome(Fate.UNCHECKED, "y")}, ["python -m ml.pipelines.releases rollback"]),
        ({"readers": ReaderView("x", problem="m")}, ["python -m ml.pipelines.releases verify --all"]),
        (
            {"task_id": "wait_for_etl", "error": "DAG claims_normalized has no run for data date"},
            ["airflow dags trigger claims_normalized --logical-date 2026-11-25T18:00:00+00:00"],
        ),
        (
            {"task_id": "score_claims", "error": "ModelError: model risk-1 has no scale for overlap of RULESET_v2"},
            ["python -m ml.pipelines.train_model", "airflow dags clear claims_risk_scoring"],
        ),
        (
            ROLLBACK | {"outcome": Outcome(Fate.NONE)},
            ["python -m ml.pipelines.releases list", "python -m ml.pipelines.releases rollback --reason"],
        ),
        (ROLLBACK | {"outcome": Outcome(Fate.STAYS, "y")}, ["python -m ml.pipelines.show_release"]),
        (
            {"task_id": "wait_for_etl"},
            ["airflow tasks clear claims_normalized --start-date 2026-11-25T18:00:00+00:00", AGAIN],
        ),
        (
            {"task_id": "wait_for_etl", "error": f"The ETL of data date 2026-11-26 has not published. {PAUSED}"},
            ["airflow dags unpause claims_normalized", "airflow tasks clear claims_normalized", AGAIN],
        ),
        (
            {"task_id": "wait_for_etl", "error": f"DAG claims_normalized has no run for data date. {PAUSED}"},
            ["airflow dags unpause claims_normalized", "airflow dags trigger claims_normalized", AGAIN],
        ),
        ({"task_id": "wait_for_etl", "error": SLOW}, ["airflow dags list-runs claims_normalized", AGAIN]),
        (
            {"task_id": "wait_for_etl", "error": f"{SLOW} {PAUSED}"},
            ["airflow dags unpause claims_normalized", AGAIN],
        ),
        (
            {"snapshot": COLLAPSED},
            ["airflow tasks clear claims_normalized --start-date 2026-11-25T18:00:00+00:00", AGAIN],
        ),
        ({"snapshot": COLLAPSED, "of_run": False, "task_id": "backup_and_swap"}, [AGAIN]),
        (REFUSED, ["python -m ml.pipelines.models show risk-2ba7c302a068", "airflow dags list-runs claims_normalized"]),
        (
            {"dag_id": "train_risk_model", "task_id": "train_model", "error": "too few claims"},
            ["airflow dags clear train_risk_model"],
        ),
        (NOTHING_OLDER, ["python -m ml.pipelines.releases list"]),
    ],
)
def test_the_next_command_fits_what_failed(changes: dict[str, object], commands: list[str]) -> None:
    text = words(replace(FAILED, **changes)).text  # type: ignore[arg-type]
    shown = [line.removeprefix("Langkah berikut: ") for line in text.splitlines() if line.startswith("Langkah")]
    assert len(shown) >= len(commands)
    assert all(line.startswith(command) for line, command in zip(shown, commands, strict=False))
    assert bool(shown) is bool(commands)


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ({"task_id": "wait_for_etl", "error": SLOW}, 2),
        ({"task_id": "wait_for_etl", "error": f"{SLOW} {PAUSED}"}, 2),
        (REFUSED, 2),
        (NOTHING_OLDER, 1),
    ],
)
def test_what_would_do_harm_or_fail_again_is_no_next_command(changes: dict[str, object], number: int) -> None:
    shown = words(replace(FAILED, **changes)).text.count("Langkah berikut: ")  # type: ignore[arg-type]
    assert shown == number


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"task_id": "wait_for_etl", "error": SLOW}, "ETL belum selesai: jangan diulang"),
        ({"task_id": "wait_for_etl", "error": f"{SLOW} {PAUSED}"}, "dijeda, maka run-nya tidak berjalan"),
        ({"snapshot": COLLAPSED}, "Perbaiki dulu ekspor di folder mentah"),
        ({"snapshot": COLLAPSED}, "CLAIMS_QC_ROW_DROP=1 python -m ml.pipelines.refresh_ml_scores"),
        ({}, "klaim dan model yang sama biasanya gagal lagi"),
        (REFUSED, "memberi hasil yang sama"),
        (REFUSED, "airflow dags trigger train_risk_model"),
        (REFUSED, "models promote risk-2ba7c302a068 --force"),
        (NOTHING_OLDER, "tidak ada rilis lama yang layak dipasang"),
    ],
)
def test_what_repeating_would_not_change_is_said_first(changes: dict[str, object], says: str) -> None:
    alert = words(replace(FAILED, **changes))  # type: ignore[arg-type]
    (advice,) = (line for line in alert.text.splitlines() if line.startswith("Perhatikan: "))
    assert says in advice
    assert says in alert.html
    assert says in alert.blocks[1]["text"]["text"]


@pytest.mark.parametrize("changes", [{"task_id": "score_claims", "of_run": False}, {"kind": AlertKind.RECOVERED}])
def test_where_repeating_helps_nothing_is_said_against_it(changes: dict[str, object]) -> None:
    assert "Perhatikan" not in words(replace(FAILED, **changes)).text  # type: ignore[arg-type]


def test_slack_takes_what_it_is_sent() -> None:
    alert = words(replace(FAILED, error="x" * 5000, task_id="t" * 200))
    assert len(alert.blocks[0]["text"]["text"]) <= 150
    assert all(len(block["text"]["text"]) <= 3000 for block in alert.blocks if "text" in block)
