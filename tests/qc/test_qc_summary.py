"""The QC logs as files, and the summary over them: names, old logs, broken logs, and the command word for word."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ml.qc import QcError, write_summary
from ml.qc.logs import collect_logs, read_snapshots
from ml.qc.logs import write_log as write_qc_log

COMMAND = "-m ml.pipelines.qc_summary --logs-dir instance/logs --output instance/logs/ml_scores_qc_summary.json"
NOW = datetime(2026, 11, 23, 19, 30, tzinfo=UTC)


def test_a_log_is_never_overwritten(logs_dir: Path) -> None:
    content = {"summary": {"total_rows": 1}}
    with ThreadPoolExecutor(8) as pool:  # red if the name is not reserved before the look for a log of that name
        logs = [log for log, _ in pool.map(lambda _: write_qc_log(logs_dir, NOW, content), range(40))]
    assert len({log.name for log in logs}) == 40
    assert sorted(path.name for path in logs_dir.iterdir()) == sorted(log.name for log in logs)
    for log in logs:
        assert json.loads(log.read_text())["summary"]["timestamp"] in log.name


def test_a_log_that_cannot_be_written_leaves_nothing(logs_dir: Path) -> None:
    with pytest.raises(TypeError):
        write_qc_log(logs_dir, NOW, {"summary": {"total_rows": object()}})
    assert list(logs_dir.iterdir()) == []


def test_old_logs_give_the_summary_that_other_tools_read(logs_dir: Path, write_log: Any) -> None:
    record = {"severity_group": "ringan", "province_name": "Aceh", "flags": ["a", "b"]}
    write_log("20261121T190000Z", top_records=[record, record | {"flags": ["b"]}], los_le_1_ratio_top_k=0.4)
    write_log(
        "20261122T190000Z", top_records=[record | {"severity_group": None, "province_name": "Bali", "flags": None}]
    )
    summary = write_summary(logs_dir, logs_dir / "ml_scores_qc_summary.json")
    assert summary == json.loads((logs_dir / "ml_scores_qc_summary.json").read_text())
    assert (summary["total_snapshots"], summary["failed_snapshots"], summary["skipped_files"]) == (2, 0, [])
    assert summary["latest_snapshot"]["timestamp"] == "20261122T190000Z"
    assert set(summary["averages"]) == set(summary["latest_snapshot"]) - {"timestamp"}
    assert summary["averages"]["los_le_1_ratio_top_k"] == pytest.approx(0.6)
    assert summary["top_severity_in_top_k"] == [["ringan", 2]]
    assert summary["top_province_in_top_k"] == [["Aceh", 2], ["Bali", 1]]
    assert summary["top_flags_in_top_k"] == [["b", 2], ["a", 1]]
    assert [snapshot["timestamp"] for snapshot in summary["snapshots"]] == ["20261121T190000Z", "20261122T190000Z"]
    first = summary["snapshots"][0]
    assert (first["passed"], first["top_record_count"], first["log"]) == (True, 2, "ml_scores_qc_20261121T190000Z.json")
    assert first["los_le_1_ratio_top_k"] == first["summary"]["los_le_1_ratio_top_k"] == 0.4


def test_new_logs_and_a_second_summary_over_its_own_output(make_release: Any, check: Any, logs_dir: Path) -> None:
    output = logs_dir / "ml_scores_qc_summary.json"
    first = check(make_release(), only=["los_not_negative"])
    assert write_summary(logs_dir, output)["latest_snapshot"] == first.summary
    second = check(make_release(plant=["UPDATE claims SET los = -1 WHERE n = 1"]), only=["los_not_negative"])
    summary = write_summary(logs_dir, output)
    assert (summary["total_snapshots"], summary["failed_snapshots"], summary["skipped_files"]) == (2, 1, [])
    assert summary["latest_snapshot"] == first.summary
    assert [snapshot["passed"] for snapshot in summary["snapshots"]] == [True, False]
    assert summary["snapshots"][1]["failed_expectations"] == second.summary["failed_expectations"]
    assert summary["averages"]["los_le_1_ratio"] == first.summary["los_le_1_ratio"]
    assert "passed" not in summary["averages"]
    assert summary["top_flags_in_top_k"] == [["short_stay_high_cost", 6]]


def test_the_latest_snapshot_is_what_readers_see(logs_dir: Path, write_log: Any) -> None:
    write_log("20261122T190000Z")  # old system
    write_log("20261123T190000Z", passed=True, data_date="2026-11-24", release_id="live")
    write_log("20261124T020000Z", passed=True, data_date="2026-01-31", release_id="backfill")
    write_log("20261124T190000Z", passed=False, data_date="2026-11-25", release_id="taken back")
    summary = write_summary(logs_dir, logs_dir / "out.json")
    assert summary["latest_snapshot"]["release_id"] == "live"
    assert summary["failed_snapshots"] == 1
    assert [snapshot.get("release_id") for snapshot in summary["snapshots"]] == [None, "live", "backfill", "taken back"]
    assert write_summary(logs_dir, logs_dir / "out.json")["skipped_files"] == []
    summary = write_summary(logs_dir, logs_dir / "out.json", live_release_id="backfill")  # an operator went back to it
    assert (summary["live_release_id"], summary["latest_snapshot"]["release_id"]) == ("backfill", "backfill")
    summary = write_summary(logs_dir, logs_dir / "out.json", live_release_id="never checked")
    assert summary["latest_snapshot"]["release_id"] == "live"


def test_old_logs_are_collected_but_never_the_youngest(logs_dir: Path, write_log: Any) -> None:
    for when in ("20250101T190000Z", "20261121T190000Z", "20261122T190000Z"):
        write_log(when)
    other = logs_dir / "ml_scores_qc_summary.json"
    other.write_text("{}")
    assert collect_logs(logs_dir, datetime(2026, 1, 1, tzinfo=UTC)) == ["ml_scores_qc_20250101T190000Z.json"]
    assert collect_logs(logs_dir, datetime(2027, 1, 1, tzinfo=UTC)) == ["ml_scores_qc_20261121T190000Z.json"]
    assert collect_logs(logs_dir, datetime(2027, 1, 1, tzinfo=UTC)) == []
    assert other.exists()


def test_only_failed_logs(logs_dir: Path, write_log: Any) -> None:
    write_log("20261122T190000Z", passed=False)
    summary = write_summary(logs_dir, logs_dir / "out.json")
    assert (summary["total_snapshots"], summary["failed_snapshots"]) == (1, 1)
    assert (summary["latest_snapshot"], summary["averages"]) == (None, {})


def test_broken_and_foreign_files_are_skipped_and_named(
    logs_dir: Path, write_log: Any, caplog: pytest.LogCaptureFixture
) -> None:
    write_log("20261122T190000Z", cost_zscore_mean=float("nan"))  # json.dumps of the old system wrote NaN
    bad = {
        "ml_scores_qc_20261101T000000Z.json": b"",
        "ml_scores_qc_20261102T000000Z.json": b'{"summary": {"total_rows": 5}',
        "ml_scores_qc_20261103T000000Z.json": b"[]",
        "ml_scores_qc_20261104T000000Z.json": b'{"summary": {}}',
        "ml_scores_qc_20261105T000000Z.json": b'{"summary": {"total_rows": 5}, "top_records": [1]}',
        "ml_scores_qc_20261106T000000Z.json": b"\xff\xfe\x00",
        "ml_scores_qc_yesterday.json": b'{"summary": {"total_rows": 5}}',
        "notes.json": b"{}",
    }
    for name, content in bad.items():
        (logs_dir / name).write_bytes(content)
    (logs_dir / "ml_scores_qc_20261107T000000Z.json").mkdir()
    (logs_dir / ".ml_scores_qc_20261108T000000Z.json.tmp").write_text("{")
    (logs_dir / "task.log").write_text("text")
    summary = write_summary(logs_dir, logs_dir / "ml_scores_qc_summary.json")
    skipped = sorted([*bad, "ml_scores_qc_20261107T000000Z.json"])
    assert summary["skipped_files"] == skipped
    assert sorted(summary["skipped_reasons"]) == skipped
    assert all(name in caplog.text for name in skipped)
    assert summary["total_snapshots"] == 1
    assert summary["latest_snapshot"]["cost_zscore_mean"] is None
    assert "cost_zscore_mean" not in summary["averages"]


def test_a_log_is_no_output(logs_dir: Path, write_log: Any) -> None:
    log = write_log("20261122T190000Z")
    before = log.read_bytes()
    with pytest.raises(QcError, match="never overwritten"):
        write_summary(logs_dir, log)
    assert log.read_bytes() == before


def _run(arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments.split()], cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )


def test_the_command_of_the_runbook(tmp_path: Path, write_log: Any, logs_dir: Path) -> None:
    write_log("20261122T190000Z")
    (tmp_path / "instance").mkdir()
    logs_dir.rename(tmp_path / "instance" / "logs")
    (tmp_path / "instance" / "logs" / "ml_scores_qc_20261123T190000Z.json").write_text("half a lo")
    done = _run(COMMAND, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "instance/logs/ml_scores_qc_summary.json" in done.stdout
    assert "ml_scores_qc_20261123T190000Z.json skipped" in done.stderr
    summary = json.loads((tmp_path / "instance/logs/ml_scores_qc_summary.json").read_text())
    assert (summary["total_snapshots"], summary["skipped_files"]) == (1, ["ml_scores_qc_20261123T190000Z.json"])


def test_the_command_without_logs(tmp_path: Path) -> None:
    missing = _run(COMMAND, tmp_path)
    assert (missing.returncode, missing.stdout) == (2, "")
    assert "instance/logs: no such folder of QC logs" in missing.stderr
    assert "Traceback" not in missing.stderr
    (tmp_path / "instance" / "logs").mkdir(parents=True)
    empty = _run(COMMAND, tmp_path)
    assert empty.returncode == 0, empty.stderr
    assert "No QC logs in instance/logs yet" in empty.stdout
    assert json.loads((tmp_path / "instance/logs/ml_scores_qc_summary.json").read_text())["total_snapshots"] == 0


def test_the_command_does_not_import_great_expectations() -> None:
    program = "import sys, ml.qc, ml.pipelines.qc_summary; print({'great_expectations', 'pandas'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "set()"


def test_no_folder_no_snapshots(tmp_path: Path) -> None:
    assert read_snapshots(tmp_path / "none") == ([], {})
