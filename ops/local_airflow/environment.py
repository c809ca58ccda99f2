"""Airflow's settings, all of them, as environment variables of the local stack."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from ml.settings import PROJECT_ROOT, Settings
from ops.local_airflow.private_files import ADMIN, PASSWORDS_FILE, Secrets
from ops.local_airflow.processes import MARK

HOST = "127.0.0.1"
UI_PORT = 8080
POOLS = {"claims_etl": 1, "claims_publish": 1}
"""One slot each: the ETL is the only writer of its zone, publishing the only one of its own."""


def airflow_environment(
    *,
    run_dir: Path,
    instance_dir: Path,
    dags_folder: Path,
    port: int,
    database_url: str,
    secrets: Secrets,
    settings: Settings,
    schedule: bool,
    inherited: Mapping[str, str],
) -> dict[str, str]:
    """Return the environment of every process of the stack: the inherited one, overridden by what the stack needs.

    Args:
        schedule: whether the nightly schedules are active; runs can be triggered either way.
    """
    base_url = f"http://{HOST}:{port}"
    ours = {
        MARK: str(run_dir),
        # setproctitle (Airflow's) overwrites /proc/<pid>/environ otherwise, and with it the mark.
        "SPT_NOENV": "1",
        "CLAIMS_INSTANCE_DIR": str(instance_dir),
        "AIRFLOW_HOME": str(run_dir / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags_folder),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT_ROOT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "4",  # idle workers cost memory; the default is 32
        "AIRFLOW__CORE__DEFAULT_TIMEZONE": "utc",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{base_url}/execution/",
        "AIRFLOW__CORE__FERNET_KEY": inherited.get("AIRFLOW__CORE__FERNET_KEY") or secrets.fernet_key,
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{ADMIN}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(run_dir / PASSWORDS_FILE),
        "AIRFLOW__API__BASE_URL": base_url,
        "AIRFLOW__API__HOST": HOST,
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__SECRET_KEY": inherited.get("AIRFLOW__API__SECRET_KEY") or secrets.api_secret_key,
        "AIRFLOW__API_AUTH__JWT_SECRET": inherited.get("AIRFLOW__API_AUTH__JWT_SECRET") or secrets.jwt_secret,
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database_url,
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "30",  # seconds until a new DAG file is seen; default 300
        # Reading every DAG file again each half minute (the default) is for those who edit them while Airflow is up.
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "30" if schedule else "600",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(run_dir / "logs"),
        "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": str(schedule),
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.3",
        # After a kill -9 the tasks it left "running" are put back within half a minute instead of five.
        "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "30",
        # A supervisor that misses its task's exit looks again after this many seconds, and holds a worker until then.
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        "GX_ANALYTICS_ENABLED": "false",
        "AIRFLOW_CONN_CLAIMS_WAREHOUSE": json.dumps(
            {
                "conn_type": "duckdb",
                "host": str(instance_dir / "warehouse.duckdb"),
                "extra": {"memory_limit": settings.memory_limit, "threads": settings.threads},
            }
        ),
        "NO_PROXY": _no_proxy(inherited),
        "no_proxy": _no_proxy(inherited),
    }
    if settings.patient_key_secret is None:
        ours["CLAIMS_PATIENT_KEY_SECRET"] = secrets.patient_key
    if settings.raw_dir is not None:
        ours["CLAIMS_RAW_DIR"] = str(settings.raw_dir.absolute())
    kept = {name: value for name, value in inherited.items() if not name.startswith(_LEFT_OUT)}
    return kept | ours


_LEFT_OUT = (
    "AIRFLOW_CONFIG",  # another installation's file
    "PG",  # PGPORT, PGOPTIONS and the like speak of another PostgreSQL
    "PYTHONDONTWRITEBYTECODE",  # every start would compile Airflow anew
)


def _no_proxy(inherited: Mapping[str, str]) -> str:
    """The tasks talk to the API server on the loopback interface, which no proxy reaches."""
    named = inherited.get("no_proxy") or inherited.get("NO_PROXY") or ""
    return ",".join([*(part for part in named.split(",") if part), HOST, "localhost"])
