"""A plugin for the failure tests: makes a task meet a real misfortune, told by a file, in the task's own process.

Copied into the stack's plugins folder. `CLAIMS_TEST_FAULTS` names a JSON file:
{"task": id, "action": ..., "times": how many tries, ...}; each try that meets it is noted beside it, with process ids.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin

ORDERS = Path(os.environ.get("CLAIMS_TEST_FAULTS", "/nonexistent"))


class Misfortune:
    """Strikes when the task of the file begins."""

    @hookimpl
    def on_task_instance_running(self, previous_state: Any, task_instance: Any) -> None:
        """Meet the fault that is ordered for this task, if there is one."""
        try:
            order = json.loads(ORDERS.read_text())
        except FileNotFoundError:
            return
        if order["task"] != task_instance.task_id or order["times"] < 1:
            return
        ORDERS.write_text(json.dumps(order | {"times": order["times"] - 1}))
        note = {"pid": os.getpid(), "supervisor": os.getppid(), "at": time.time(), "try": task_instance.try_number}
        with ORDERS.with_name("met.jsonl").open("a") as file:
            file.write(json.dumps(note) + "\n")
        getattr(self, order["action"])(order, task_instance)

    def stop(self, _order: dict[str, Any], _task_instance: Any) -> None:
        """Stand still until the test lets the process go on, or kills it."""
        os.kill(os.getpid(), signal.SIGSTOP)

    def kill(self, _order: dict[str, Any], _task_instance: Any) -> None:
        """Die, as by the kernel's OOM killer."""
        os.kill(os.getpid(), signal.SIGKILL)

    def failpoint(self, order: dict[str, Any], _task_instance: Any) -> None:
        """Die or stand still at a step of the publish protocol."""
        os.environ["CLAIMS_RELEASE_FAILPOINT"] = order["point"]

    def memory(self, order: dict[str, Any], _task_instance: Any) -> None:
        """Have no more memory than this, in MB beyond what the process has mapped now."""
        mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        limit = mapped + order["megabytes"] * 1_000_000
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    def slow(self, order: dict[str, Any], task_instance: Any) -> None:
        """Take long for a step of the night, and perhaps have little time for it."""
        from ml import nightly

        step = getattr(nightly, order["step"])

        def slowly(*arguments: Any, **options: Any) -> Any:
            time.sleep(order["seconds"])
            return step(*arguments, **options)

        setattr(nightly, order["step"], slowly)
        if "timeout" in order:
            task_instance.task.execution_timeout = timedelta(seconds=order["timeout"])


class MisfortunePlugin(AirflowPlugin):
    """Registers the listener."""

    name = "test_misfortune"
    listeners = [Misfortune()]  # noqa: RUF012 - Airflow's base class declares it so
