"""When sample claims are generated, and that the user's own files are never touched."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from ops.local_airflow.sample import DEFAULT_CLAIMS, Sample, SampleError, plan_sample, wanted_claims


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """A raw folder with a sample of 200 claims."""
    folder = tmp_path / "instance" / "raw"
    Sample(folder, 200, os.environ).finish()
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("text", ["0", "-3", "many", "1.5"])
def test_wrong_number_is_said(text: str) -> None:
    with pytest.raises(SampleError, match=f"CLAIMS={text}"):
        wanted_claims(text)


def test_number_is_optional() -> None:
    assert (wanted_claims(None), wanted_claims(""), wanted_claims("1_176_438")) == (None, None, 1_176_438)


def test_an_empty_folder_gets_a_sample(tmp_path: Path) -> None:
    assert plan_sample(tmp_path / "none", None, own_files=False).claims == DEFAULT_CLAIMS
    assert plan_sample(tmp_path, 7, own_files=False).claims == 7


def test_sample_is_kept_until_another_size_is_asked_for(raw: Path) -> None:
    assert len((raw / "sample_fkrtl.csv").read_text().splitlines()) == 201
    assert plan_sample(raw, None, own_files=False).claims is None
    assert plan_sample(raw, 200, own_files=False).claims is None
    assert plan_sample(raw, 300, own_files=False).claims == 300
    Sample(raw, 300, os.environ).finish()
    assert len((raw / "sample_fkrtl.csv").read_text().splitlines()) == 301
    assert plan_sample(raw, 300, own_files=False).claims is None


def test_half_a_sample_is_made_again(raw: Path) -> None:
    for path in raw.glob("*fkrtl*"):
        path.unlink()
    assert plan_sample(raw, None, own_files=False).claims == DEFAULT_CLAIMS


@pytest.mark.parametrize("change", ["added", "replaced", "without note"])
def test_own_files_in_the_raw_folder_are_used_as_they_are(raw: Path, change: str) -> None:
    if change == "added":
        (raw / "2023_fkrtl.csv").write_text("mine")
    elif change == "replaced":
        (raw / "sample_fkrtl.csv").write_text("mine")
    else:
        (raw / ".sample.json").unlink()
    before = contents(raw)
    plan = plan_sample(raw, 999, own_files=False)
    assert plan.claims is None
    assert "your own files" in plan.reason
    assert "CLAIMS=999 is not used" in plan.reason
    Sample(raw, plan.claims, os.environ).finish()
    assert contents(raw) == before


def test_folder_of_the_user_is_never_generated_into(tmp_path: Path, raw: Path) -> None:
    assert plan_sample(raw, 999, own_files=True).claims is None
    with pytest.raises(SampleError, match=r"holds no \*fkrtl\* file"):
        plan_sample(tmp_path, 999, own_files=True)


def test_cancelled_generator_leaves_the_former_sample(raw: Path) -> None:
    before = contents(raw)
    started = time.monotonic()
    Sample(raw, 5_000_000, os.environ).cancel()
    assert time.monotonic() - started < 10
    assert {name: data for name, data in contents(raw).items() if not name.endswith("lock")} == {
        name: data for name, data in before.items() if not name.endswith("lock")
    }


def test_generator_error_is_shown(tmp_path: Path) -> None:
    (tmp_path / "raw").write_text("a file")
    with pytest.raises(SampleError, match="is not a folder"):
        Sample(tmp_path / "raw", 10, os.environ).finish()
