"""The files: same bytes for the same seed, whole or not at all, the labels never beside them."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow.parquet as pq
import pytest
from filelock import FileLock
from typer.testing import CliRunner

from ml.claims.layout import DIAGNOSIS, FKRTL, Column, Kind
from ml.sample import GeneratorConfig, Sample, SampleError, Setting, files, generate, write
from ml.sample.__main__ import app


@pytest.fixture(scope="module")
def small() -> Sample:
    return generate(GeneratorConfig(claims=3_000, seed=11))


def digest(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


@pytest.mark.parametrize("fmt", ["csv", "parquet"])
def test_same_seed_same_bytes_also_in_another_process(small: Sample, tmp_path: Path, fmt: str) -> None:
    write(small, tmp_path / "here" / "raw", fmt)
    command = [sys.executable, "-m", "ml.sample", "--claims", "3000", "--seed", "11", "--format", fmt]
    command += ["--out", str(tmp_path / "there" / "raw")]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "PYTHONHASHSEED": "99"})
    here = digest(tmp_path / "here")
    assert here == digest(tmp_path / "there")
    assert set(here) == {f"raw/sample_fkrtl.{fmt}", f"raw/sample_diagnosissekunder.{fmt}", "raw_labels/labels.parquet"}


def test_another_seed_gives_another_sample(small: Sample) -> None:
    other = generate(GeneratorConfig(claims=3_000, seed=12))
    assert not other.visits.equals(small.visits)
    assert not other.labels.equals(small.labels)


def canonical(frame: pd.DataFrame, columns: tuple[Column, ...]) -> dict[str, list[object]]:
    """Values without the marks of a format: empty text for null, numbers as numbers, days as ISO text."""
    assert list(frame.columns) == [column.name for column in columns]
    out: dict[str, list[object]] = {}
    for column in columns:
        values = frame[column.name]
        if column.kind is Kind.TEXT:
            out[column.name] = values.astype(object).where(values.notna(), "").tolist()
        elif column.kind is Kind.DATE:
            out[column.name] = pd.to_datetime(values).dt.strftime("%Y-%m-%d").tolist()
        else:
            out[column.name] = pd.to_numeric(values).tolist()
    return out


def read(path: Path) -> pd.DataFrame:
    if path.suffix == ".csv":
        return pd.read_csv(path, dtype=str, keep_default_na=False)
    return pq.read_table(path).to_pandas() if path.suffix == ".parquet" else pd.read_stata(path)


@pytest.mark.parametrize("fmt", ["csv", "parquet", "dta"])
def test_every_format_holds_the_same_values(small: Sample, tmp_path: Path, fmt: str) -> None:
    paths = write(small, tmp_path / "raw", fmt)
    for name, table, columns in [("visits", small.visits, FKRTL), ("diagnoses", small.diagnoses, DIAGNOSIS)]:
        assert canonical(read(paths[name]), columns) == canonical(table.to_pandas(), columns)


def test_labels_go_to_a_sibling_and_never_into_the_raw_folder(small: Sample, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    paths = write(small, raw)
    assert paths["labels"] == tmp_path / "raw_labels" / "labels.parquet"
    assert pq.read_table(paths["labels"]).num_rows == 3_000
    assert {path.name for path in raw.iterdir() if not path.name.startswith(".")} == {
        "sample_fkrtl.csv", "sample_diagnosissekunder.csv",
    }  # fmt: skip
    (tmp_path / "link").symlink_to(raw)
    for inside in (raw / "labels.parquet", raw / "deep" / "labels.parquet", tmp_path / "link" / "labels.parquet"):
        with pytest.raises(SampleError, match="--labels outside"):
            write(small, raw, labels=inside)
        assert not inside.exists()


def test_labels_are_of_the_format_that_their_name_says(small: Sample, tmp_path: Path) -> None:
    """`evaluate_files` reads them by their name."""
    written = write(small, tmp_path / "raw", "parquet", labels=tmp_path / "truth.csv")["labels"]
    read_back = duckdb.read_csv(str(written), header=True)
    columns = ("claim_id", "fraud_type", "is_fraud")
    assert read_back.select(*columns).fetchall() == duckdb.from_arrow(small.labels).select(*columns).fetchall()
    with pytest.raises(SampleError, match=r"truth\.txt must be a \.parquet or \.csv file"):
        write(small, tmp_path / "raw", "parquet", labels=tmp_path / "truth.txt")


@pytest.mark.parametrize("other", ["sample_fkrtl.csv", "BPJS_FKRTL_2022.dta", "x_diagnosissekunder.csv.gz"])
def test_a_second_input_file_is_refused_by_name(small: Sample, tmp_path: Path, other: str) -> None:
    (tmp_path / other).write_text("mine")
    with pytest.raises(SampleError, match=other):
        write(small, tmp_path, "parquet", labels=tmp_path.parent / "labels.parquet")
    assert [path.name for path in tmp_path.iterdir()] == [other]


def test_own_files_are_overwritten_and_others_left_alone(small: Sample, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    write(generate(GeneratorConfig(claims=10)), raw)
    (raw / "notes on fkrtl.txt").write_text("mine")
    write(small, raw)
    assert len(read(raw / "sample_fkrtl.csv")) == 3_000
    assert (raw / "notes on fkrtl.txt").read_text() == "mine"


def test_files_take_their_name_when_complete_and_never_change_under_a_reader(small: Sample, tmp_path: Path) -> None:
    """Turns red when a writer writes, or copies, to the final name: that changes the file a reader has open."""
    old = write(small, tmp_path / "raw")
    held = {name: tmp_path / f"held_{name}" for name in old}
    for name, path in old.items():
        held[name].hardlink_to(path)
    before = {name: path.read_bytes() for name, path in held.items()}
    new = write(generate(GeneratorConfig(claims=10)), tmp_path / "raw")
    assert {name: path.read_bytes() for name, path in held.items()} == before
    assert all(new[name].read_bytes() != before[name] for name in new)


def test_a_failing_writer_leaves_the_old_files(small: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = tmp_path / "raw"
    write(small, raw)
    before = digest(tmp_path)

    def full_disk(table: object, path: Path) -> None:
        path.write_text("half")
        raise OSError("No space left on device")

    monkeypatch.setitem(files._WRITERS, files.Format.CSV, full_disk)
    with pytest.raises(OSError, match="No space left"):
        write(generate(GeneratorConfig(claims=10)), raw)
    assert digest(tmp_path) == before


def test_a_killed_generator_leaves_no_half_file_and_the_next_one_cleans_up(small: Sample, tmp_path: Path) -> None:
    """Turns red when the work folder is not swept, or lies where the ETL looks."""
    raw = tmp_path / "raw"
    write(small, raw)
    before = digest(raw)
    script = (
        "import os, signal, sys; from pathlib import Path\n"
        "from ml.sample import GeneratorConfig, files, generate, write\n"
        "def killed(table, path):\n"
        "    path.write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "files._WRITERS[files.Format.CSV] = killed\n"
        "write(generate(GeneratorConfig(claims=10)), Path(sys.argv[1]))\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(raw)], check=False)
    assert done.returncode == -9
    assert {name: text for name, text in digest(raw).items() if "/" not in name} == before
    assert list(raw.glob("*/*"))  # the half file, where the ETL does not look
    write(small, raw)
    assert digest(raw) == before
    assert not list(raw.glob("*/*"))


def test_two_generators_do_not_write_to_one_folder(small: Sample, tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    with FileLock(tmp_path / "raw" / files._LOCK), pytest.raises(SampleError, match="another generator"):
        write(small, tmp_path / "raw")


def test_command_line(tmp_path: Path) -> None:
    runner = CliRunner()
    arguments = ["--claims", "50", "--seed", "3", "--out", str(tmp_path / "raw"), "--until", "2023-06-30"]
    done = runner.invoke(app, [*arguments, "--labels", str(tmp_path / "truth.parquet")])
    assert done.exit_code == 0, done.output
    assert read(tmp_path / "raw" / "sample_fkrtl.csv")["FKL04"].max() <= "2023-06-30"
    assert pq.read_table(tmp_path / "truth.parquet").num_rows == 50
    refused = runner.invoke(app, [*arguments, "--format", "parquet"])
    assert refused.exit_code == 1
    assert "sample_fkrtl.csv" in refused.output
    assert "Remove them" in refused.output


@pytest.mark.parametrize("setting", [None, *Setting])
def test_command_line_names_the_setting(tmp_path: Path, setting: Setting | None) -> None:
    """Each setting is the configuration's method of that name, and no setting is the default one."""
    arguments = ["--claims", "2000", "--seed", "4", "--format", "parquet", "--out", str(tmp_path / "raw")]
    done = CliRunner().invoke(app, [*arguments, *(["--setting", setting] if setting else [])])
    assert done.exit_code == 0, done.output
    base = GeneratorConfig(claims=2_000, seed=4)
    named = base if setting in (None, Setting.DEFAULT) else getattr(base, setting)()
    write(generate(named), tmp_path / "expected" / "raw", "parquet")
    assert digest(tmp_path / "raw") == digest(tmp_path / "expected" / "raw")


def test_an_unknown_setting_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["--claims", "10", "--out", str(tmp_path / "raw"), "--setting", "wild"])
    assert done.exit_code == 2
    assert all(setting in done.output for setting in Setting)
