"""Labelled files of one's own are judged by the same figures as the generator's sets, and bad labels are named."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from ml.claims.contract import ContractError
from ml.evaluation import own_files
from ml.evaluation.figures import AMOUNT, AUC, BEST, OURS, P50, RECALL_OF
from ml.evaluation.metrics import precision_at, roc_auc
from ml.evaluation.own_files import FilesEvaluation, evaluate_files, read_labels
from ml.evaluation.own_files_report import write_files_report
from ml.pipelines import evaluate_files as command
from ml.sample import GeneratorConfig, generate, write
from ml.settings import Settings

UNTIL = date(2022, 12, 31)


def instance(folder: Path, **limits: str) -> Settings:
    return Settings(_env_file=None, CLAIMS_INSTANCE_DIR=folder, **limits)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with raw files in `raw` and the truth about each claim in `labels.parquet`."""
    folder = tmp_path_factory.mktemp("files")
    config = GeneratorConfig(claims=3_000, seed=21, bad_provider_share=0.3)
    write(generate(config), folder / "raw", "csv", folder / "labels.parquet")
    return folder


@pytest.fixture(scope="module")
def found(files: Path, tmp_path_factory: pytest.TempPathFactory) -> FilesEvaluation:
    settings = instance(tmp_path_factory.mktemp("instance"))
    found = evaluate_files(files / "raw", files / "labels.parquet", UNTIL, "RULESET_v2", settings)
    assert list((settings.work / "evaluation").iterdir()) == [], "claims were left behind"
    return found


@pytest.fixture(scope="module")
def truth(files: Path) -> pd.DataFrame:
    visits = pd.read_csv(next((files / "raw").glob("*fkrtl.csv")), dtype=str, keep_default_na=False)
    visits.columns = visits.columns.str.upper()
    labels = pd.read_parquet(files / "labels.parquet").set_index("claim_id")
    truth = labels.loc[visits["FKL02"]].reset_index()
    truth["amount"] = visits["FKL47"].astype(float)
    return truth


def test_the_figures_are_of_these_claims_and_these_labels(found: FilesEvaluation, truth: pd.DataFrame) -> None:
    assert (found.claims, found.frauds, found.strangers) == (3_000, truth["is_fraud"].sum(), 0)
    assert found.bad_providers == truth["facility"][truth["is_bad_provider"]].nunique() > 0
    assert found.value("claims", AMOUNT, P50) == precision_at(truth["amount"], truth["is_fraud"], 50)
    of_provider = truth.groupby("facility").agg(amount=("amount", "sum"), bad=("is_bad_provider", "any"))
    assert found.value("providers", AMOUNT, AUC) == pytest.approx(roc_auc(of_provider["amount"], of_provider["bad"]))
    assert found.value("claims", BEST, P50) == min(found.frauds / 50, 1)
    assert found.value("claims", OURS, P50) > 2 * found.value("claims", AMOUNT, P50)
    kinds = {kind.removeprefix(RECALL_OF) for _, _, kind, _ in found.figures if kind.startswith(RECALL_OF)}
    assert kinds == {*truth["fraud_type"]} - {"none"}


def test_the_report_tells_every_figure(found: FilesEvaluation) -> None:
    text = write_files_report(found)
    assert f"3,000 claims of {found.providers:,} providers" in text
    assert f"| **ours** | {found.value('claims', OURS, P50):.2f} |" in text
    assert f"| **ours** | {found.value('providers', OURS, AUC):.2f} |" in text
    assert "| cloned claim |" in text
    assert "not among them" not in text


def test_labels_of_providers_alone_judge_providers_alone(
    files: Path, found: FilesEvaluation, truth: pd.DataFrame, tmp_path: Path
) -> None:
    providers = truth.groupby("facility")["is_bad_provider"].any()
    labels = tmp_path / "providers.csv"
    providers.loc["99999"] = True
    providers.rename_axis("facility_key").reset_index().to_csv(labels, index=False)
    alone = evaluate_files(files / "raw", labels, UNTIL, "RULESET_v2", instance(tmp_path / "instance"))
    assert (alone.frauds, alone.bad_providers) == (0, found.bad_providers)
    assert alone.value("providers", OURS, AUC) == found.value("providers", OURS, AUC)
    assert "P@1000" not in write_files_report(alone)
    assert "1 more bad providers of the labels have no claim here" in write_files_report(alone)


def test_the_command_tells_what_it_left_out_and_keeps_nothing(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLAIMS_INSTANCE_DIR", str(tmp_path / "instance"))
    labels = tmp_path / "labels.csv"
    known = pd.read_parquet(files / "labels.parquet")
    known = known[known["is_fraud"]][["claim_id", "fraud_type"]]
    known.loc[len(known)] = ("9999999V000001", "upcoding")
    known.to_csv(labels, index=False)
    app = typer.Typer()
    app.command()(command.main)
    arguments = ["--raw-dir", str(files / "raw"), "--labels", str(labels)]
    told = CliRunner().invoke(app, arguments)
    assert told.exit_code == 0, told.output
    assert "1 more fraudulent claims of the labels are not among them" in told.stdout
    as_json = CliRunner().invoke(app, [*arguments, "--json"])
    document = json.loads(as_json.stdout)
    assert (document["claims"], document["frauds"], document["bad_providers"]) == (3_000, len(known) - 1, 0)
    assert {figure["level"] for figure in document["figures"]} == {"claims", "providers"}
    assert not list((tmp_path / "instance").rglob("*.parquet"))


def test_the_help_names_both_kinds_of_labels() -> None:
    app = typer.Typer()
    app.command()(command.main)
    told = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"}).output
    assert all(name in told for name in (own_files.CLAIM_ID, own_files.FRAUD_TYPE, own_files.FACILITY))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_command_that_is_ended_leaves_no_claims(files: Path, tmp_path: Path, number: signal.Signals) -> None:
    arguments = ["--raw-dir", str(files / "raw"), "--labels", str(files / "labels.parquet")]
    process = subprocess.Popen(
        [sys.executable, "-m", "ml.pipelines.evaluate_files", *arguments],
        env=os.environ | {"CLAIMS_INSTANCE_DIR": str(tmp_path / "instance")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # these tests may run under nohup
    )
    work = tmp_path / "instance" / "work" / "evaluation"
    try:
        until = time.monotonic() + 60
        while not list(work.glob("own-files-*/**/warehouse.duckdb")) and time.monotonic() < until:
            time.sleep(0.01)
        process.send_signal(number)
        assert process.wait(60) != 0
    finally:
        process.kill()
    assert list(work.iterdir()) == []


def test_patients_are_hashed_with_a_secret_that_nobody_knows(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[Settings] = []

    def seen(settings: Settings, *_: object) -> None:
        used.append(settings)
        raise ContractError("seen enough")

    monkeypatch.setattr(own_files, "start_build", seen)
    for _ in range(2):
        with pytest.raises(ContractError):
            evaluate_files(files / "raw", files / "labels.parquet", UNTIL, "RULESET_v2", instance(tmp_path))
    keys = {settings.patient_key_secret.get_secret_value() for settings in used if settings.patient_key_secret}
    assert len(keys) == 2
    assert all(len(key) == 64 for key in keys)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("labels.txt", "claim_id,fraud_type\n", "a .csv or a .parquet file"),
        ("labels.csv", "claim,fraud\n1,upcoding\n", "has the columns claim, fraud; claim_id and fraud_type are needed"),
        ("labels.csv", "facility_key\n1\n", "has the columns facility_key; "),
        ("labels.csv", "", r"labels.csv: cannot be read as .csv in UTF-8 \(No columns"),
        ("labels.csv", 'claim_id,fraud_type\n"1,a\n', r"labels.csv: cannot be read as .csv in UTF-8 \("),
        ("labels.csv", "claim_id,fraud_type\n1,a\n2,b\n1,c\n", "row 3 is the second of claim_id 1"),
        ("labels.csv", "facility_key,is_bad_provider\n1,true\n2,maybe\n", "row 2: is_bad_provider is 'maybe'"),
    ],
)
def test_bad_labels_are_refused_by_row_and_field(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=said):
        read_labels(tmp_path / name)


def test_labels_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"labels\.csv: no such file; --labels"):
        read_labels(tmp_path / "labels.csv")


def test_labels_of_other_claims_are_refused(files: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("claim_id,fraud_type\n1,upcoding\n")
    with pytest.raises(ValueError, match=r"no claim or provider that it calls bad is among the 3,000 claims"):
        evaluate_files(files / "raw", labels, UNTIL, "RULESET_v2", instance(tmp_path / "instance"))


def test_the_contract_is_the_instances_and_bad_rows_can_be_looked_at(files: Path, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    shutil.copytree(files / "raw", raw)
    visits = next(raw.glob("*fkrtl.csv"))
    rows = pd.read_csv(visits, dtype=str, keep_default_na=False)
    rows.loc[:59, "FKL47"] = "much"
    rows.to_csv(visits, index=False)
    with pytest.raises(ContractError, match="60 of 3,000 rows break the contract") as refused:
        evaluate_files(raw, files / "labels.parquet", UNTIL, "RULESET_v2", instance(tmp_path / "instance"))
    (quarantined,) = (tmp_path / "instance" / "work" / "evaluation").rglob("*.parquet")
    assert str(quarantined) in str(refused.value)
    lenient = instance(tmp_path / "lenient", CLAIMS_MAX_BAD_SHARE="0.05")
    assert evaluate_files(raw, files / "labels.parquet", UNTIL, "RULESET_v2", lenient).claims == 2_940


def test_empty_none_and_missing_are_honest(tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("claim_id,fraud_type,is_bad_provider\n 1 ,,TRUE\n2,none,\n3,Upcoding,no\n")
    read = read_labels(labels)
    assert read.fraud_types.to_dict() == {"1": "none", "2": "none", "3": "Upcoding"}
    assert read.suspects == {"1"}
