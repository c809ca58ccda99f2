"""Dockerfile and .dockerignore: what gets in, what must not, and who runs it."""

from __future__ import annotations

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from ml.settings import PROJECT_ROOT
from tests.deploy import deployment as deploy

PROJECT = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["project"]
LOCK = (PROJECT_ROOT / "requirements.txt").read_text()


def _of(name: str) -> list[str]:
    return [rest for instruction, rest in deploy.instructions() if instruction == name]


def _final_stage() -> list[tuple[str, str]]:
    everything = deploy.instructions()
    return everything[max(at for at, (name, _) in enumerate(everything) if name == "FROM") :]


def test_python_is_one_the_project_supports() -> None:
    bases = [image.split()[0] for image in _of("FROM")]
    outside = [base for base in bases if base != "base"]
    assert len(outside) == 1, "one base, so that the environment fits the Python it was made with"
    version = re.fullmatch(r"python:(\d+\.\d+)-slim-bookworm", outside[0])
    assert version and version[1] in SpecifierSet(PROJECT["requires-python"])


def test_everything_copied_exists_and_is_sent() -> None:
    sources = deploy.copied_from_context()
    assert {"requirements.txt", "pyproject.toml", "include/", "plugins/", "dags/"} == set(sources)
    for source in sources:
        path = PROJECT_ROOT / source
        assert path.exists(), source
        assert deploy.is_sent_to_build(source.strip("/")), source
        assert path.is_file() == (not source.endswith("/")), source


def test_all_code_and_sql_is_sent() -> None:
    files = [path for folder in ("include", "dags", "plugins") for path in (PROJECT_ROOT / folder).rglob("*.*")]
    wanted = [path.relative_to(PROJECT_ROOT).as_posix() for path in files if path.suffix in (".py", ".sql", ".json")]
    assert {"dags", "include", "plugins"} == {path.split("/")[0] for path in wanted}
    assert [path for path in wanted if not deploy.is_sent_to_build(path)] == []


@pytest.mark.parametrize(
    "path",
    [
        ".env",
        "include/.env",
        ".git/config",
        ".run/secrets.json",
        ".venv/bin/python",
        "instance/raw/fkrtl.csv",
        "include/ml/__pycache__/sql.cpython-311.pyc",
        "docker-compose.yaml",
        "tests/deploy/test_image.py",
    ],
)
def test_data_secrets_and_leftovers_are_not_sent(path: str) -> None:
    assert not deploy.is_sent_to_build(path)


def test_packages_come_from_the_lock() -> None:
    install = next(command for command in _of("RUN") if "uv pip install" in command)
    assert "--constraint requirements.txt -r pyproject.toml" in install
    assert "--only-binary :all:" in install, "a source distribution would need a compiler"
    assert "grep -vxFf locked.txt installed.txt" in install, "a package outside the lock must fail the build"
    assert "$(grep '^uv==' requirements.txt)" in install
    assert len(re.findall(r"^uv==\d+(?:\.\d+)+$", LOCK, re.MULTILINE)) == 1


def test_lock_pins_every_direct_dependency() -> None:
    pinned = {re.split("==", line)[0] for line in LOCK.splitlines() if "==" in line and not line.startswith(" ")}
    assert {Requirement(text).name for text in PROJECT["dependencies"]} <= pinned


def test_final_stage_gets_no_compiler_or_installer() -> None:
    for name, rest in _final_stage():
        if name == "RUN":
            assert not re.search(r"apt-get|pip install|curl|wget", rest), rest


def test_does_not_run_as_root() -> None:
    users = [rest for name, rest in _final_stage() if name == "USER"]
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", users[-1])
    user, group = users[-1].split(":")
    made = " ".join(_of("RUN"))
    # Airflow refuses to run as a user that has no name.
    assert f"--gid {group} claims" in made
    assert f"--uid {user} --gid claims" in made


def test_volumes_start_with_the_owner_of_their_folder() -> None:
    command = next(command for command in _of("RUN") if "install --directory" in command)
    made = re.search(r"install --directory --owner=claims --group=claims --mode=0750\s+(.+)$", command)
    assert made
    folders = set(made[1].split())
    volumes = {
        mount.target
        for service in deploy.own_services().values()
        for mount in deploy.mounts(service)
        if not mount.is_bind
    }
    assert volumes <= folders
    assert deploy.image_environment()["AIRFLOW_HOME"] in folders


def test_no_secret_and_no_airflow_run_in_the_build() -> None:
    text = " ".join(rest for name, rest in deploy.instructions() if name in ("ENV", "ARG", "LABEL"))
    assert not re.search(r"SECRET|PASSWORD|FERNET|TOKEN", text)
    # The first start of Airflow writes an airflow.cfg with keys, the same for everyone who has the image.
    assert not [command for command in _of("RUN") if re.search(r"\bairflow (?!/)[a-z]", command)]


def test_paths_in_the_image_are_those_of_compose() -> None:
    image = deploy.image_environment()
    workdir = _of("WORKDIR")[-1]
    assert image["PYTHONPATH"] == f"{workdir}/include"
    assert image["AIRFLOW__CORE__DAGS_FOLDER"] == f"{workdir}/dags"
    assert image["AIRFLOW__CORE__PLUGINS_FOLDER"] == f"{workdir}/plugins"


def test_version_is_the_project_s() -> None:
    assert f"VERSION={PROJECT['version']}" in _of("ARG")
    images = {deploy.interpolate(service["image"], {}) for service in deploy.own_services().values()}
    assert images == {f"{PROJECT['name']}:{PROJECT['version']}"}


def test_health_is_left_to_compose() -> None:
    assert not _of("HEALTHCHECK")
