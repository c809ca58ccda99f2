"""`python -m ml.pipelines.releases`: every subcommand, plain and as JSON, and every exit code."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from ml.pipelines.releases import DAMAGED, app
from ml.release import Published, ReleaseStore, RunToken
from tests.release.conftest import CLAIMS_SCHEMA, DATE, ROWS, write_candidate

REFUSED, WRONG_USAGE = 1, 2


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty instance that the commands find in the environment."""
    monkeypatch.setenv("CLAIMS_INSTANCE_DIR", str(tmp_path / "instance"))
    monkeypatch.setenv("CLAIMS_LOCK_TIMEOUT_SECONDS", "0.2")
    monkeypatch.delenv("SUDO_USER", raising=False)
    return tmp_path / "instance"


@pytest.fixture
def three(instance: Path) -> list[Published]:
    """Three good releases: oldest first, the last one live."""
    return [publish(instance, f"night{number}") for number in range(3)]


def publish(instance: Path, run: str, *, qc: bool | None = True, days: int = 0) -> Published:
    candidate = write_candidate(instance.with_name(run), model=run, day=DATE - timedelta(days=days))
    store = ReleaseStore(instance, threads=1)
    published = store.publish(candidate, RunToken(run, 1))
    if qc is not None:
        store.record_qc(published.release_id, passed=qc, log=None)
    return published


def run(*arguments: str, exit_code: int = 0) -> str:
    """Run a subcommand in this process and return what it printed."""
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == exit_code, done.output
    return done.stdout if exit_code in (0, DAMAGED) else done.output


def run_json(*arguments: str, exit_code: int = 0) -> Any:
    return json.loads(run(*arguments, "--json", exit_code=exit_code))


def flip_a_bit(path: Path) -> None:
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_an_empty_instance(instance: Path) -> None:
    assert "No release yet" in run("list")
    assert run_json("list") == []
    assert run_json("verify", "--all") == []
    assert "no release is live" in run("verify", exit_code=REFUSED)
    assert "nothing to recover" in run("recover")
    assert "no older release is fit" in run("rollback", "--reason", "test", exit_code=REFUSED)
    assert not instance.exists() or not (instance / "releases").glob("2*")


def test_list_says_all_about_every_release_newest_first(instance: Path, three: list[Published]) -> None:
    archived = publish(instance, "backfill", days=3)
    publish(instance, "failed", qc=False)
    ReleaseStore(instance).restore("failed", reason="QC failed")
    entries = run_json("list")
    assert [(entry["state"], entry["qc_passed"]) for entry in entries] == [
        ("given up", False),
        ("archived", True),
        ("live", True),
        ("superseded", True),
        ("superseded", True),
    ]
    live = entries[2]
    assert (live["release_id"], live["live"], live["rows"]) == (three[2].release_id, True, ROWS)
    assert (live["data_date"], live["model_version"], live["ruleset_version"]) == (str(DATE), "night2", "RULESET_v1")
    assert 0 <= live["age_seconds"] < 600
    assert live["size_bytes"] == sum((three[2].path / name).stat().st_size for name in
                                     ("analytics.duckdb", "claims_ml_scores.parquet"))  # fmt: skip
    table = run("list").splitlines()
    assert table[0].split() == ["release", "data", "date", "rows", "model", "ruleset", "QC", "state", "age", "size"]
    assert table[3].startswith(f"*  {three[2].release_id}")
    assert archived.release_id in table[2]
    assert "FAILED" in table[1]


def test_show_tells_what_it_is_and_what_happened(instance: Path, three: list[Published]) -> None:
    first, _, live = (published.release_id for published in three)
    run("rollback", "--to", first, "--reason", "wrong tariffs", "--who", "siti")
    shown = run("show", first)
    assert f"{first} (live)" in shown
    assert "QC passed" in shown
    assert "rolled back to, by siti, because: wrong tariffs" in shown
    whole = run_json("show", first)
    assert whole["manifest"]["release_id"] == whole["release_id"] == first
    assert [event["event"] for event in whole["journal"]][:3] == ["intent", "switched", "qc"]
    assert whole["journal"][-1]["previous"] == live
    assert "there is no release 20990101-x" in run("show", "20990101-x", exit_code=REFUSED)


@pytest.mark.parametrize("damage", ["flipped bit", "truncated", "missing file", "edited table", "no manifest", "gone"])
def test_verify_finds_every_damage_and_names_the_best_alternative(
    instance: Path, three: list[Published], damage: str
) -> None:
    _, alternative, live = three
    database, scores = live.path / "analytics.duckdb", live.path / "claims_ml_scores.parquet"
    if damage == "flipped bit":
        flip_a_bit(database)
    elif damage == "truncated":
        scores.chmod(0o644)
        scores.write_bytes(scores.read_bytes()[:-1])
    elif damage == "missing file":
        scores.unlink()
    elif damage == "edited table":
        database.chmod(0o644)
        edit = f"import duckdb; duckdb.connect({str(database)!r}).execute('UPDATE claims_ml_scores SET risk_score = 0')"
        subprocess.run([sys.executable, "-c", edit], check=True)
    elif damage == "no manifest":
        (live.path / "manifest.json").unlink()
    else:
        live.path.rename(instance / "elsewhere")

    [bad, good, oldest] = run_json("verify", "--all", exit_code=DAMAGED)
    assert (bad["release_id"], bad["live"], bad["best_alternative"]) == (
        live.release_id,
        True,
        alternative.release_id,
    )
    assert live.release_id in bad["problems"][0]
    assert good["problems"] == oldest["problems"] == []
    shown = run("verify", exit_code=DAMAGED)
    assert f"DAMAGED  {live.release_id} (live)" in shown
    assert f"rollback --to {alternative.release_id}" in shown
    assert "good" in run("verify", alternative.release_id)

    # recover says so loudly and leaves it; nobody goes back to it; the operator's rollback is the way out.
    recovered = run_json("recover", exit_code=DAMAGED)
    assert (recovered["restored"], recovered["live"]) == (False, live.release_id)
    assert f"the best alternative is {alternative.release_id}" in run("recover", exit_code=DAMAGED)
    if damage in ("no manifest", "gone"):
        assert "DAMAGED AND LIVE" in run("list", exit_code=DAMAGED)
        assert run_json("list", exit_code=DAMAGED)[0]["state"] == "damaged"
    assert run_json("rollback", "--reason", "damaged")["live"] == alternative.release_id
    assert f"the best alternative is {oldest['release_id']}" in run(
        "rollback", "--to", live.release_id, "--reason", "no", exit_code=REFUSED
    )


@pytest.mark.parametrize("cut", [True, False])
def test_list_sees_a_file_that_is_missing_or_cut_short(three: list[Published], cut: bool) -> None:
    def damage(published: Published) -> None:
        scores = published.path / "claims_ml_scores.parquet"
        scores.chmod(0o644)
        scores.write_bytes(scores.read_bytes()[:-1]) if cut else scores.unlink()

    damage(three[0])
    assert [entry["state"] for entry in run_json("list")] == ["live", "superseded", "damaged"]  # the live one is whole
    damage(three[2])
    first = run_json("list", exit_code=DAMAGED)[0]
    assert (first["live"], first["state"], first["rows"]) == (True, "damaged", ROWS)
    wrong = "bytes, " if cut else "claims_ml_scores.parquet is missing"
    assert wrong in first["problem"]
    assert "DAMAGED AND LIVE" in run("list", exit_code=DAMAGED)


def test_recover_leaves_a_damaged_release_by_itself_only_when_the_setting_says_so(
    three: list[Published], monkeypatch: pytest.MonkeyPatch
) -> None:
    flip_a_bit(three[2].path / "analytics.duckdb")
    assert run_json("recover", exit_code=DAMAGED)["live"] == three[2].release_id
    monkeypatch.setenv("CLAIMS_RECOVER_FROM_DAMAGE", "true")
    assert run_json("recover")["live"] == three[1].release_id


def test_rubbish_among_the_releases_is_noted_beside_the_list(instance: Path, three: list[Published]) -> None:
    for name in ("copied-by-hand", ".building-20261123"):
        (instance / "releases" / name).mkdir()
    done = CliRunner().invoke(app, ["list", "--json"])
    assert [entry["release_id"] for entry in json.loads(done.stdout)] == [p.release_id for p in reversed(three)]
    crashed, foreign = done.stderr.splitlines()
    assert ".building-20261123 is no complete release; it is being built, or was left by a crash" in crashed
    assert "copied-by-hand is no complete release; nothing deletes it" in foreign


def test_a_run_that_was_declared_dead_has_given_up_its_archived_release(instance: Path, three: list[Published]) -> None:
    publish(instance, "backfill", qc=None, days=3)
    ReleaseStore(instance).restore("backfill", reason="its QC could not run")
    assert [entry["state"] for entry in run_json("list")] == ["given up", "live", "superseded", "superseded"]


def test_rollback_shows_the_effect_keeps_who_and_why_and_renews_the_summary(
    instance: Path, three: list[Published]
) -> None:
    shown = run("rollback", "--reason", "wrong tariffs", "--who", "siti")
    assert (
        shown.index("Live now:") < shown.index("Put back:") < shown.index("What changes") < shown.index("siti rolled")
    )
    store = ReleaseStore(instance)
    assert store.live_id() == three[1].release_id
    last = store.journal()[-1]
    assert (last.who, last.reason, last.previous) == ("siti", "wrong tariffs", three[2].release_id)
    summary = json.loads((instance / "logs" / "ml_scores_qc_summary.json").read_text())
    assert summary["live_release_id"] == three[1].release_id


def test_a_rollback_whose_summary_cannot_be_written_is_a_rollback(instance: Path, three: list[Published]) -> None:
    (instance / "logs").write_text("a file where a folder should be")
    done = run_json("rollback", "--reason", "test")
    assert done["live"] == three[1].release_id == ReleaseStore(instance).live_id()
    assert "The QC summary could not be written anew" in done["message"]
    assert "What changes" in done["effect"]


def test_a_rollback_without_a_reason_or_a_name_says_what_it_knows(instance: Path, three: list[Published]) -> None:
    command = [sys.executable, "-m", "ml.pipelines.releases", "rollback", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert (done.returncode, json.loads(done.stdout)["live"]) == (0, three[1].release_id)
    last = ReleaseStore(instance).journal()[-1]
    assert last.reason == "no reason given"
    assert last.who


def test_a_user_without_a_name_is_known_by_number(three: list[Published], monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found: 50000")

    monkeypatch.setattr("getpass.getuser", nameless)
    assert run_json("rollback", "--reason", "test")["message"].startswith(f"uid {os.getuid()} rolled back")


def test_rollback_to_an_archived_backfill(instance: Path, three: list[Published]) -> None:
    archived = publish(instance, "backfill", days=3)
    run("rollback", "--to", archived.release_id, "--reason", "audit of last week")
    assert ReleaseStore(instance).live_id() == archived.release_id


def test_recover_gives_up_what_a_dead_run_left(instance: Path, three: list[Published]) -> None:
    dead = publish(instance, "died", qc=None)
    recovered = run_json("recover")
    assert (recovered["was"], recovered["live"]) == (dead.release_id, three[2].release_id)


def test_diff_in_words_and_as_json(instance: Path, three: list[Published]) -> None:
    other = publish(instance, "quite another model")
    words = run("diff", "previous", "live", "--top-k", "7", "--language", "id")
    for expected in ("Claims     300 in both", "Top 7", "Ranks      correlation", "New in the top 7", "province"):
        assert expected in words
    changes = run_json("diff", three[2].release_id, other.release_id, "--top-k", "7")
    assert (changes["a"]["release_id"], changes["b"]["release_id"]) == (three[2].release_id, other.release_id)
    assert changes["entrants"]
    assert len(changes["entrants"]) == len(changes["leavers"]) == 7 - changes["top_k_kept"]


def test_diff_counts_a_revised_claim_where_each_release_has_it(instance: Path, three: list[Published]) -> None:
    candidate = write_candidate(instance.with_name("revised"), model="night2")
    claims = pq.read_table(candidate.claims).to_pylist()
    for claim in claims[:40]:
        claim |= {"severity_group": "berat", "province_name": "elsewhere"}
    pq.write_table(pa.Table.from_pylist(claims, schema=CLAIMS_SCHEMA), candidate.claims)
    candidate = replace(candidate, input_sha256=hashlib.sha256(candidate.claims.read_bytes()).hexdigest())
    ReleaseStore(instance, threads=1).publish(candidate, RunToken("revised", 1))

    changes = run_json("diff", "previous", "live")
    # 300 claims, every eighth an inpatient; of the first 40 these are 5.
    groups = {shift["value"]: (shift["claims_a"], shift["claims_b"]) for shift in changes["by_severity"]}
    assert groups == {"berat": (0, 40), "ringan": (38, 33), "rawat_jalan": (262, 227)}
    assert {"elsewhere": (0, 40)}.items() <= {
        shift["value"]: (shift["claims_a"], shift["claims_b"]) for shift in changes["by_province"]
    }.items()
    [berat] = [shift for shift in changes["by_severity"] if shift["value"] == "berat"]
    assert berat["mean_risk_score_a"] is None


@pytest.mark.parametrize("wanted", ["20990101-x", ""])
@pytest.mark.parametrize("command", [("show",), ("verify",), ("diff", "live"), ("rollback", "--reason", "x", "--to")])
def test_an_id_that_does_not_exist_is_refused_and_is_no_damage(
    instance: Path, three: list[Published], command: tuple[str, ...], wanted: str
) -> None:
    said = run(*command, wanted, exit_code=REFUSED)
    assert (f"there is no release {wanted}" if wanted else "the id is empty") in said
    assert ReleaseStore(instance).live_id() == three[2].release_id


def test_ids_may_be_short_but_not_ambiguous(three: list[Published]) -> None:
    beginning = three[0].release_id[:9]
    assert "may be any of" in run("show", beginning, exit_code=REFUSED)
    assert run_json("show", "previous")["release_id"] == three[1].release_id


@pytest.mark.parametrize(
    "arguments",
    [("verify", "live", "--all"), ("diff", "live"), ("diff", "live", "live", "--language", "de"), ("list", "--wrong")],
)
def test_wrong_usage(three: list[Published], arguments: tuple[str, ...]) -> None:
    run(*arguments, exit_code=WRONG_USAGE)


def test_a_held_lock_is_refused_with_what_to_do(instance: Path, three: list[Published]) -> None:
    with ReleaseStore(instance)._room.locked():
        assert "held by another process" in run("rollback", "--reason", "test", exit_code=REFUSED)
        assert "live" in run("list")
