"""Settings are refused at the start, by their names, and not in the middle of the night."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml.settings import SettingsError, load_settings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CLAIMS_KEEP_DAYS", "inf"),
        ("CLAIMS_KEEP_QC_LOGS_DAYS", "1000000"),
        ("CLAIMS_KEEP_QUARANTINE_DAYS", "nan"),
        ("CLAIMS_MIN_PEERS", "1000001"),
        ("CLAIMS_RETRY_DELAY_SECONDS", "inf"),
        ("CLAIMS_LOCK_TIMEOUT_SECONDS", "inf"),
        ("CLAIMS_DUCKDB_MEMORY_LIMIT", "0MB"),
        ("CLAIMS_DUCKDB_MEMORY_LIMIT", "1500"),
    ],
)
def test_a_value_that_would_break_the_night_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=rf"{name}: .*\(got '{value}'\)"):
        load_settings()


def test_a_home_folder_is_the_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CLAIMS_RAW_DIR", "~/klaim")
    assert load_settings().raw == tmp_path / "klaim"
