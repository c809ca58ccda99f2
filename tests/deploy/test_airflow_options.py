"""Airflow ignores an option it does not know, so a misspelt one is found here."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.deploy import deployment as deploy

# In a process of its own: importing Airflow makes files in AIRFLOW_HOME and sets up logging.
ASK = """
import json
from airflow.configuration import retrieve_configuration_description
described = retrieve_configuration_description()
print(json.dumps({
    f"AIRFLOW__{section.upper().replace('.', '_')}__{option.upper()}": [entry["type"], str(entry["default"])]
    for section, content in described.items() for option, entry in content["options"].items()
}))
"""


def _given() -> dict[str, str]:
    """Every option that the image or a service sets, with a value."""
    found = dict(deploy.image_environment())
    environ = {one.name: "given" for one in deploy.references(deploy.compose()) if one.operator == ":?"}
    for service in deploy.own_services().values():
        found |= deploy.environment(service, environ)
    return {name: value for name, value in found.items() if name.startswith("AIRFLOW__")}


def _handed_on() -> set[str]:
    return {name for name in deploy.handed_on(deploy.services()) if name.startswith("AIRFLOW__")}


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Every option of Airflow and of the installed providers: its type and its default."""
    home = tmp_path_factory.mktemp("airflow")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    answer = subprocess.run(
        [sys.executable, "-c", ASK],
        env=environ | {"AIRFLOW_HOME": str(home)},
        capture_output=True,
        text=True,
        check=True,
    )
    options: dict[str, list[str]] = json.loads(answer.stdout.splitlines()[-1])
    return options


def test_every_option_exists(known: dict[str, list[str]]) -> None:
    assert len(_given()) > 10
    assert "AIRFLOW__METRICS__STATSD_ON" in _handed_on()
    assert (set(_given()) | _handed_on()) - set(known) == set()


def test_values_have_the_option_s_type(known: dict[str, list[str]]) -> None:
    for name, value in _given().items():
        kind, _ = known[name]
        if kind == "boolean":
            assert value in ("True", "False"), name
        elif kind in ("integer", "float"):
            assert float(value) >= 0, name


def test_airflow_home_holds_what_the_volumes_hold(known: dict[str, list[str]]) -> None:
    # The log folder is not set, so it must be where the volume of the logs is.
    home = deploy.image_environment()["AIRFLOW_HOME"]
    kind, default = known["AIRFLOW__LOGGING__BASE_LOG_FOLDER"]
    assert kind == "string" and default.replace("{AIRFLOW_HOME}", home) == "/opt/airflow/logs"
    for name in ("api-server", "scheduler", "worker", "dag-processor", "triggerer"):
        logs = {mount.target: mount for mount in deploy.mounts(deploy.services()[name])}
        assert logs["/opt/airflow/logs"].source == "airflow-logs"
