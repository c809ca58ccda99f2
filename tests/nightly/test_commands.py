"""The commands: whatever stops a refresh, readers are back on what was live, and errors are told in one line."""

from __future__ import annotations

import importlib
import logging
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from datetime import datetime, time, timedelta
from typing import Any

import duckdb
import pytest
import typer
from filelock import FileLock
from typer.testing import CliRunner

from ml import nightly
from ml.claims.find import claims_of
from ml.pipelines import normalize_claims, refresh_ml_scores, show_release, train_model
from ml.release import ReleaseStore
from ml.release.manifest import DATABASE, MANIFEST
from ml.settings import PROJECT_ROOT, Settings
from tests.nightly.conftest import Night, live_id

Publish = Callable[..., Night]
FUTURE = datetime(2206, 11, 23)  # noqa: DTZ001 - as typer hands a date over


@pytest.fixture(autouse=True)
def _log_level() -> Iterator[None]:
    yield
    logging.getLogger("ml").setLevel(logging.NOTSET)


def ended(capsys: pytest.CaptureFixture[str], command: Callable[..., None], **arguments: Any) -> tuple[object, str]:
    """The exit code of a command that must fail, and what it said on standard error."""
    with pytest.raises(SystemExit) as end:
        command(**arguments)
    return end.value.code, capsys.readouterr().err


def test_help_tells_what_every_option_is_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """`[default: x]` within a help text is markup, and is left out."""
    monkeypatch.setenv("COLUMNS", "300")
    told = 0
    for path in sorted((PROJECT_ROOT / "include" / "ml" / "pipelines").glob("*.py")):
        module = importlib.import_module(f"ml.pipelines.{path.stem}")
        app = getattr(module, "app", None) or typer.Typer()
        if hasattr(module, "main"):
            app.command()(module.main)
        if not (app.registered_commands or app.registered_groups):
            continue
        group = typer.main.get_command(app)
        for name, command in getattr(group, "commands", {None: group}).items():
            shown = CliRunner().invoke(app, [*([name] if name else []), "--help"]).output
            for parameter in command.params:
                assert "[" not in (getattr(parameter, "help", None) or ""), f"{path.stem} {name} {parameter.name}"
                if isinstance(parameter.show_default, str):
                    assert f"[default: ({parameter.show_default})]" in shown
                    told += 1
    assert told >= 18


def test_a_refresh_publishes_checks_and_names_its_process(settings: Settings, store: ReleaseStore) -> None:
    refresh_ml_scores.main(top_k=20)
    live = store.live()
    assert live is not None
    assert store.qc_passed(live.id) is True
    assert re.fullmatch(rf"cli__\d{{8}}T\d{{6}}Z-{os.getpid()}", live.manifest.run_id)
    assert list((settings.work / "scoring").iterdir()) == []


@pytest.mark.parametrize(("nights_later", "named", "warns"), [(0, False, False), (3, False, True), (3, True, False)])
def test_claims_that_the_etl_has_not_renewed_are_scored_with_a_warning(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    nights_later: int,
    named: bool,
    warns: bool,
) -> None:
    claims = claims_of(settings)
    monkeypatch.setattr(refresh_ml_scores, "data_date_of", lambda _now: claims.data_date + timedelta(nights_later))
    refresh_ml_scores.main(data_date=datetime.combine(claims.data_date, time()) if named else None)
    told = [record.getMessage() for record in caplog.records if "these are old claims" in record.getMessage()]
    assert len(told) == warns
    assert all(
        f"is of {claims.data_date}, tonight's would be of {claims.data_date + timedelta(3)}" in one for one in told
    )


@pytest.mark.parametrize(("by", "column"), [("risk", "risk_score"), ("excess", "excess_amount")])
def test_the_live_claims_are_shown_by_risk_or_by_money(
    publish: Publish, store: ReleaseStore, capsys: pytest.CaptureFixture[str], by: str, column: str
) -> None:
    publish("good", qc=True)
    live = store.live()
    assert live is not None
    with duckdb.connect(str(live.database), read_only=True) as connection:
        floor = 0.5 if by == "excess" else 0  # as the API's lists by rupiah
        riskier = f"claims_high_risk WHERE risk_score >= {floor}"
        values = dict(connection.sql(f"SELECT claim_id, {column} FROM {riskier}").fetchall())
    show_release.main(top=10, by=by, language="id")
    a_claim = re.compile(r"^ *\d+\. (\S+)  risiko [\d,]+  R", re.MULTILINE)
    claims = a_claim.findall(capsys.readouterr().out)
    assert [values[claim] for claim in claims] == sorted(values.values(), reverse=True)[:10]
    show_release.main(top=100, by=by, max_per_facility=1, language="id")
    listed = a_claim.findall(capsys.readouterr().out)
    with duckdb.connect(str(live.database), read_only=True) as connection:
        of_facilities = dict(connection.sql(f"SELECT claim_id, facility_key FROM {riskier}").fetchall())
    assert len(listed) == min(100, len(set(of_facilities.values())))
    assert len({of_facilities[claim] for claim in listed}) == len(listed)
    code, said = ended(capsys, show_release.main, by="amount")
    assert (code, said.strip()[-20:]) == (2, "--by: risk or excess")


@pytest.mark.parametrize(
    ("language", "heading", "claim", "provider"),
    [
        (
            "en",
            "the 3 riskiest claims",
            r"risk 0\.\d{3}  R.* \(excess Rp[\d,]+\), ",
            r"risk 0\.\d{3}  \d+ claims, \d+ of",
        ),
        (
            "id",
            "3 klaim paling berisiko",
            r"risiko 0,\d{3}  R.* \(kelebihan Rp[\d.]+\), ",
            r"risiko 0,\d{3}  \d+ klaim, \d+ di",
        ),
    ],
)
def test_the_lists_are_in_the_auditors_language(
    publish: Publish, capsys: pytest.CaptureFixture[str], language: str, heading: str, claim: str, provider: str
) -> None:
    publish("good", qc=True)
    show_release.main(top=3, language=language)
    said = capsys.readouterr().out
    assert f" {heading} " in said
    assert len(re.findall(rf"^ +\d+\. \S+  {claim}", said, re.M)) == 3
    assert len(re.findall(rf"^ +\d+\. \S+  {provider}", said, re.M)) == 3


@pytest.mark.parametrize("name", [MANIFEST, DATABASE])
@pytest.mark.parametrize("content", [b"", b"damaged\n" * 4096])
def test_a_damaged_live_release_is_told_in_one_line_with_what_to_do(
    publish: Publish, store: ReleaseStore, capsys: pytest.CaptureFixture[str], name: str, content: bytes
) -> None:
    path = store.get(publish("good", qc=True).published.release_id).path
    (path / name).chmod(0o644)
    (path / name).write_bytes(content)
    code, said = ended(capsys, show_release.main)
    assert (code, said.count("\n")) == (1, 1)
    assert said.startswith(f"ERROR: release {path.name}, which is live, cannot be read (")
    assert said.endswith("what to go back to: python -m ml.pipelines.releases verify --all\n")


def test_the_qc_log_shown_is_that_of_the_live_release(
    publish: Publish, settings: Settings, store: ReleaseStore, capsys: pytest.CaptureFixture[str]
) -> None:
    """The newest log may be of a release that failed its QC, that was archived, or that an operator went back from."""
    good, bad = publish("good").published.release_id, publish("bad").published.release_id
    logs = {good: "ml_scores_qc_20261122T190500Z.json", bad: "ml_scores_qc_20261123T190500Z.json"}
    settings.logs.mkdir(exist_ok=True)
    for release_id, log in logs.items():
        store.record_qc(release_id, passed=True, log=log)
        (settings.logs / log).touch()
    store.rollback(good, reason="test", who="test")
    show_release.main()
    assert re.search(rf"QC log  \S+/{logs[good]}\n", capsys.readouterr().out)
    (settings.logs / logs[good]).unlink()
    show_release.main()
    assert "QC log  none of this release" in capsys.readouterr().out


def test_showing_keeps_to_the_limits_of_the_settings(
    settings: Settings, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish("good", qc=True)
    configs: list[dict[str, object]] = []
    connect = duckdb.connect

    def seen(*arguments: Any, config: dict[str, Any] | None = None, **options: Any) -> duckdb.DuckDBPyConnection:
        configs.append(config or {})
        return connect(*arguments, config=config or {}, **options)

    monkeypatch.setattr(duckdb, "connect", seen)
    show_release.main(top=10, by="risk", language="en")
    assert {(each.get("memory_limit"), each.get("threads")) for each in configs} == {
        (settings.memory_limit, settings.threads)
    }


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_a_signal_between_switch_and_qc_takes_the_release_back(
    publish: Publish,
    store: ReleaseStore,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: signal.Signals,
    code: int,
) -> None:
    good = publish("good", qc=True)
    switched_to = []

    def stopped(*_: object, **__: object) -> None:
        switched_to.append(live_id(store))
        signal.raise_signal(number)

    monkeypatch.setattr(nightly, "check_quality", stopped)
    outside = signal.getsignal(number)
    if number is signal.SIGHUP:  # ignored where these tests are run by nohup
        signal.signal(number, signal.SIG_DFL)
    before = signal.getsignal(number)
    try:
        exit_code, said = ended(capsys, refresh_ml_scores.main)
    finally:
        after = signal.signal(number, outside)
    assert exit_code == code
    assert f"stopped by {number.name}" in said
    assert switched_to != [good.published.release_id], "the signal came after the switch"
    assert live_id(store) == good.published.release_id
    assert after is before


def test_nohup_stays_ignored(publish: Publish, monkeypatch: pytest.MonkeyPatch) -> None:
    publish("good", qc=True)
    monkeypatch.setattr(nightly, "check_quality", lambda *_, **__: signal.raise_signal(signal.SIGHUP))
    outside = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        refresh_ml_scores.main()
    finally:
        assert signal.signal(signal.SIGHUP, outside) is signal.SIG_IGN


def test_a_second_sigterm_does_not_stop_the_restore(
    publish: Publish, store: ReleaseStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good = publish("good", qc=True)
    restore = nightly.restore

    def signalled(*arguments: Any, **named: Any) -> Any:
        signal.raise_signal(signal.SIGTERM)
        return restore(*arguments, **named)

    monkeypatch.setattr(nightly, "check_quality", lambda *_, **__: signal.raise_signal(signal.SIGTERM))
    monkeypatch.setattr(nightly, "restore", signalled)
    assert ended(capsys, refresh_ml_scores.main)[0] == 143
    assert live_id(store) == good.published.release_id


def test_a_restore_that_fails_hides_neither_error_and_tells_what_is_live(
    settings: Settings,
    publish: Publish,
    store: ReleaseStore,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    publish("good", qc=True)
    lock = FileLock(settings.instance_dir / "releases" / ".lock")

    def locked_out(*_: object, **__: object) -> None:
        lock.acquire()
        raise nightly.QualityError("QC refuses")

    monkeypatch.setattr(nightly, "check_quality", locked_out)
    try:
        code, said = ended(capsys, refresh_ml_scores.main)
    finally:
        lock.release()
    assert code == 1
    assert "ERROR: QC refuses" in said
    assert "restoring failed too" in said
    assert "was held by another process" in said
    assert f"Release {live_id(store)} is live; it has not passed a QC." in said
    assert "Traceback" not in said


@pytest.mark.parametrize("command", [refresh_ml_scores.main, normalize_claims.main, train_model.main])
def test_every_command_refuses_a_future_data_date(
    settings: Settings, capsys: pytest.CaptureFixture[str], command: Callable[..., None]
) -> None:
    code, said = ended(capsys, command, data_date=FUTURE)
    assert code == 1
    assert "ERROR: Data date 2206-11-23 lies in the future" in said
    assert [path.name for path in (settings.data / "claims_normalized").glob("2206*")] == []


@pytest.mark.parametrize("command", [normalize_claims.main, train_model.main])
def test_an_error_of_the_file_system_is_one_line_and_verbose_tells_where(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    command: Callable[..., None],
) -> None:
    blocked = settings.work if command is normalize_claims.main else settings.models
    blocked.exists() and blocked.rename(settings.instance_dir / "aside")
    blocked.write_text("a file where a folder should be")
    code, said = ended(capsys, command)
    assert code == 1
    assert re.fullmatch(r"ERROR: .*\n", re.sub(r"\x1b\[\d+m", "", said))
    assert "Traceback" not in caplog.text
    ended(capsys, command, verbose=True)
    assert "Traceback" in caplog.text


@pytest.mark.parametrize("top_k", [None, "", "7"])
def test_the_script_for_cron_passes_top_k_only_when_it_is_set(top_k: str | None) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "REFRESH_TOP_K"} | {"PYTHON": "echo"}
    if top_k is not None:
        environment["REFRESH_TOP_K"] = top_k
    script = PROJECT_ROOT / "ops" / "scripts" / "refresh_ml_scores.sh"
    said = subprocess.run(
        [script, "--data-date", "x"], env=environment, capture_output=True, text=True, check=True
    ).stdout
    expected = ["-m", "ml.pipelines.refresh_ml_scores"] + (["--top-k", "7"] if top_k else []) + ["--data-date", "x"]
    assert said.split() == expected
