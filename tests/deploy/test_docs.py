"""docs/deployment.md names what the Compose file takes, and its first lines make a complete .env."""

from __future__ import annotations

import base64
import re
import stat
import subprocess
from pathlib import Path

import pytest

from ml.settings import PROJECT_ROOT, Settings
from tests.deploy import deployment as deploy

DOCS = (PROJECT_ROOT / "docs" / "deployment.md").read_text()


def _section(title: str) -> str:
    return DOCS.partition(f"## {title}\n")[2].partition("\n## ")[0]


def _make_env(folder: Path) -> subprocess.CompletedProcess[str]:
    lines = re.search(r"```bash\n(.*?)```", _section("Start"), re.DOTALL)
    assert lines
    script = lines[1].partition("docker compose")[0]
    return subprocess.run(["bash", "-euc", script], cwd=folder, capture_output=True, text=True)


def _read_env(folder: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in (folder / ".env").read_text().splitlines())


def test_every_variable_is_explained_and_no_other() -> None:
    first_cells = [line.split("|")[1] for line in _section("Variables").splitlines() if line.startswith("| `")]
    explained = [name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)]
    taken = {one.name for one in deploy.references(deploy.compose())} | deploy.handed_on(deploy.services())
    assert sorted(explained) == sorted(taken)


def test_required_variables_are_marked() -> None:
    marked = set(re.findall(r"^\| `(\w+)` \| required \|", _section("Variables"), re.MULTILINE))
    assert marked == {one.name for one in deploy.references(deploy.compose()) if one.operator == ":?"}


def test_memory_limits_are_those_of_compose() -> None:
    told = dict(re.findall(r"^\| `([\w-]+)` \|.*\| (\d+ [GM]B) \|$", _section("Services"), re.MULTILINE))
    units = {"g": " GB", "m": " MB"}
    limits = {name: deploy.interpolate(service["mem_limit"], {}) for name, service in deploy.services().items()}
    assert told == {name: limit[:-1] + units[limit[-1]] for name, limit in limits.items()}


def test_first_lines_make_a_complete_env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = _make_env(tmp_path)
    assert made.returncode == 0, made.stderr
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    environ = _read_env(tmp_path)
    for text in deploy.texts(deploy.compose()):
        deploy.interpolate(text, environ)
    assert len(base64.urlsafe_b64decode(environ["AIRFLOW__CORE__FERNET_KEY"])) == 32
    assert len(environ["AIRFLOW__API_AUTH__JWT_SECRET"]) >= 64  # HS512, which Airflow takes for a shared secret
    assert len(environ["AIRFLOW_UI_ADMIN_PASSWORD"]) >= 12
    monkeypatch.setenv("CLAIMS_PATIENT_KEY_SECRET", environ["CLAIMS_PATIENT_KEY_SECRET"])
    assert Settings().patient_key_secret


def test_secrets_differ_from_one_another_and_from_time_to_time(tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "other"]
    for folder in folders:
        folder.mkdir()
        _make_env(folder)
    values = [value for folder in folders for name, value in _read_env(folder).items() if name != "CLAIMS_RAW_DIR"]
    assert len(set(values)) == len(values) == 16


def test_an_env_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("CLAIMS_PATIENT_KEY_SECRET=the only copy\n")
    assert _make_env(tmp_path).returncode != 0
    assert (tmp_path / ".env").read_text() == "CLAIMS_PATIENT_KEY_SECRET=the only copy\n"
