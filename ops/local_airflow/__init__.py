"""A whole Airflow on this machine: real components, real PostgreSQL, started and stopped together.

`python -m ops.local_airflow run|up|down|status|sample|clean` is what `make` calls; tests use `LocalAirflow`.
"""

from ops.local_airflow.client import AirflowClient, ApiError, DagRun, TaskState
from ops.local_airflow.stack import LocalAirflow, StackBusyError, StackError

__all__ = [
    "AirflowClient",
    "ApiError",
    "DagRun",
    "LocalAirflow",
    "StackBusyError",
    "StackError",
    "TaskState",
]
