"""The part of Airflow's public REST API (`/api/v2`) that driving and watching runs needs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

POLL_SECONDS = 0.5
_FINISHED_RUN = {"success", "failed"}


class ApiError(Exception):
    """The API refused a request; the message holds its answer."""


@dataclass(frozen=True)
class DagRun:
    """A run of a DAG."""

    dag_id: str
    run_id: str
    state: str
    logical_date: datetime | None

    @property
    def finished(self) -> bool:
        """Whether it succeeded or failed."""
        return self.state in _FINISHED_RUN


@dataclass(frozen=True)
class TaskState:
    """A task of a run, as it stands now. `seconds` is how long its latest try has taken, None before it started."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    state: str | None
    try_number: int
    seconds: float | None

    @property
    def name(self) -> str:
        """The task's id, with its index when it is mapped."""
        return self.task_id if self.map_index < 0 else f"{self.task_id}[{self.map_index}]"


class AirflowClient:
    """Speaks to one API server. Waits poll; requests that only read are repeated when the server is busy."""

    def __init__(self, base_url: str, username: str, password: str) -> None:
        self.base_url = base_url
        self._credentials = {"username": username, "password": password}
        # trust_env: a proxy of the environment cannot reach the loopback interface.
        self._http = httpx.Client(base_url=base_url, timeout=30, trust_env=False)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def health(self) -> dict[str, str]:
        """Return status by component, {} while the server does not answer."""
        try:
            answer = self._http.get("/api/v2/monitor/health", timeout=5)
            answer.raise_for_status()
        except httpx.HTTPError:
            return {}
        return {name: str((part or {}).get("status")) for name, part in answer.json().items()}

    def wake_execution_api(self) -> bool:
        """Have the server build the API that tasks speak to (seconds, once); return whether it answers."""
        try:
            return self._http.get("/execution/health", timeout=60).is_success
        except httpx.HTTPError:
            return False

    def dag(self, dag_id: str) -> dict[str, Any] | None:
        """Return a DAG's properties, None when the DAG processor has not seen it."""
        answer = self._send("GET", f"/dags/{dag_id}", allowed={404})
        return None if answer.status_code == 404 else self._object(answer)

    def unpause(self, dag_id: str) -> None:
        """Let a DAG run."""
        self._send("PATCH", f"/dags/{dag_id}", json={"is_paused": False})

    def import_errors(self) -> dict[str, str]:
        """Return the stack trace of each DAG file that cannot be imported."""
        errors = self._object(self._send("GET", "/importErrors"))["import_errors"]
        return {error["filename"]: error["stack_trace"] for error in errors}

    def ensure_pool(self, name: str, slots: int) -> None:
        """Make a pool of that size, whether or not it exists."""
        body = {"slots": slots, "description": "One writer at a time", "include_deferred": False}
        answer = self._send("GET", f"/pools/{name}", allowed={404})
        if answer.status_code == 404:
            self._send("POST", "/pools", json={"name": name, **body})
        elif self._object(answer)["slots"] != slots:
            self._send("PATCH", f"/pools/{name}", json={"pool": name, **body})

    def trigger(self, dag_id: str, logical_date: datetime | None = None, conf: dict[str, Any] | None = None) -> DagRun:
        """Queue a new run."""
        body = {"logical_date": logical_date.isoformat() if logical_date else None, "conf": conf or {}}
        return _run(self._object(self._send("POST", f"/dags/{dag_id}/dagRuns", json=body)))

    def run(self, dag_id: str, run_id: str) -> DagRun:
        """Return a run as it stands now."""
        return _run(self._object(self._send("GET", f"/dags/{dag_id}/dagRuns/{run_id}")))

    def runs(self, dag_id: str, **filters: Any) -> list[DagRun]:
        """Return the newest hundred runs of a DAG that match the API's filters, e.g. `state=["running"]`."""
        params = {"limit": 100, "order_by": "-run_after", **filters}
        answer = self._object(self._send("GET", f"/dags/{dag_id}/dagRuns", params=params))
        return [_run(item) for item in answer["dag_runs"]]

    def run_of(self, dag_id: str, logical_date: datetime) -> DagRun | None:
        """Return the run of a logical date, whoever made it."""
        moment = logical_date.isoformat()
        found = self.runs(dag_id, logical_date_gte=moment, logical_date_lte=moment)
        return found[0] if found else None

    def clear(self, dag_id: str, run_id: str) -> None:
        """Queue all tasks of a finished run again."""
        body = {"dry_run": False, "only_failed": False}
        self._send("POST", f"/dags/{dag_id}/dagRuns/{run_id}/clear", json=body)

    def mark(self, dag_id: str, run_id: str, state: str) -> None:
        """Set a run's state to success or failed, and end its tasks."""
        self._send("PATCH", f"/dags/{dag_id}/dagRuns/{run_id}", json={"state": state})

    def tasks(self, dag_id: str, run_id: str) -> list[TaskState]:
        """Return the tasks of a run in the order in which they started."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances"
        items = self._object(self._send("GET", path, params={"limit": 100}))["task_instances"]
        items.sort(key=lambda item: (item["state"] == "upstream_failed", item["start_date"] or "9999"))
        return [_task(item) for item in items]

    def wait(
        self,
        run: DagRun,
        *,
        timeout: float,
        on_change: Callable[[TaskState], None] = lambda task: None,
        on_poll: Callable[[list[TaskState]], None] = lambda tasks: None,
    ) -> DagRun:
        """Wait until a run has finished, and return it.

        Args:
            timeout: seconds.
            on_change: called for each task whose state or try changed since the last look.
            on_poll: called with all tasks at each look; may raise to stop waiting.

        Raises:
            TimeoutError: it has not finished in time.
        """
        deadline = time.monotonic() + timeout
        seen: dict[str, tuple[str | None, int]] = {}
        while True:
            now = self.run(run.dag_id, run.run_id)
            tasks = self.tasks(run.dag_id, run.run_id)
            for task in tasks:
                if seen.get(task.name) != (task.state, task.try_number):
                    seen[task.name] = (task.state, task.try_number)
                    on_change(task)
            on_poll(tasks)
            if now.finished:
                return now
            if time.monotonic() > deadline:
                standing = ", ".join(f"{task.name} {task.state}" for task in tasks)
                raise TimeoutError(f"{run.dag_id} {run.run_id} is {now.state} after {timeout:.0f} s: {standing}")
            time.sleep(POLL_SECONDS)

    def question(self, run: DagRun, task_id: str) -> str | None:
        """Return what a task asks a person, None as long as it has not asked."""
        answer = self._send("GET", _question(run, task_id), allowed={404})
        return None if answer.status_code == 404 else str(self._object(answer)["body"])

    def answer(self, run: DagRun, task_id: str, option: str) -> None:
        """Answer a task's question with one of its options."""
        self._send("PATCH", _question(run, task_id), json={"chosen_options": [option]})

    def log_tail(self, task: TaskState, lines: int = 15) -> list[str]:
        """Return the end of the log of a task's latest try: from its last error on, when there is one."""
        path = f"/dags/{task.dag_id}/dagRuns/{task.run_id}/taskInstances/{task.task_id}/logs/{task.try_number}"
        params = {"map_index": task.map_index, "full_content": True}
        answer = self._send("GET", path, params=params, allowed={404}, headers={"Accept": "application/json"})
        content = [] if answer.status_code == 404 else self._object(answer)["content"]
        messages = [item if isinstance(item, dict) else {"event": str(item)} for item in content]
        errors = [number for number, item in enumerate(messages) if item.get("level") in ("error", "critical")]
        told = [line for item in messages[errors[-1] if errors else 0 :] for line in _log_lines(item)]
        return told[:lines] if errors else told[-lines:]

    def _send(self, method: str, path: str, allowed: set[int] | None = None, **arguments: Any) -> httpx.Response:
        """Send a request, with a token; reading is repeated on a transport error or a 5xx answer."""
        headers = arguments.pop("headers", {})
        attempts = 5 if method == "GET" else 1
        for attempt in range(1, attempts + 1):
            try:
                if "Authorization" not in self._http.headers:
                    self._log_in()
                answer = self._http.request(method, f"/api/v2{path}", headers=headers, **arguments)
            except httpx.TransportError as error:
                if attempt == attempts:
                    raise ApiError(f"{method} {path}: {error!r}") from error
            else:
                if answer.is_success or answer.status_code in (allowed or ()):
                    return answer
                if answer.status_code < 500 or attempt == attempts:
                    raise ApiError(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
            time.sleep(POLL_SECONDS * attempt)
        raise AssertionError("unreachable")

    def _log_in(self) -> None:
        answer = self._http.post("/auth/token", json=self._credentials)
        if not answer.is_success:
            raise ApiError(f"Logging in failed: {answer.status_code} {answer.text[:500]}")
        self._http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    @staticmethod
    def _object(answer: httpx.Response) -> dict[str, Any]:
        content: dict[str, Any] = answer.json()
        return content


def _question(run: DagRun, task_id: str) -> str:
    return f"/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances/{task_id}/-1/hitlDetails"


def _run(item: dict[str, Any]) -> DagRun:
    moment = item["logical_date"]
    return DagRun(item["dag_id"], item["dag_run_id"], item["state"], datetime.fromisoformat(moment) if moment else None)


def _task(item: dict[str, Any]) -> TaskState:
    return TaskState(
        item["dag_id"],
        item["dag_run_id"],
        item["task_id"],
        item["map_index"],
        item["state"],
        item["try_number"],
        _seconds(item["start_date"], item["end_date"]),
    )


def _seconds(start: str | None, end: str | None) -> float | None:
    if start is None:
        return None
    until = datetime.fromisoformat(end) if end else datetime.now(UTC)
    return max(until - datetime.fromisoformat(start), timedelta()).total_seconds()


def _log_lines(message: dict[str, Any]) -> Iterator[str]:
    """The lines of one log message: its text, and the error it carries with the innermost frames of its trace."""
    event = str(message.get("event") or "")
    if event and not event.startswith("::"):  # ::group:: folds lines in the UI
        level = f"{message['level'].upper()} " if message.get("level") else ""
        yield from f"{level}{event}".splitlines()
    for error in message.get("error_detail") or []:
        for frame in (error.get("frames") or [])[-3:]:
            yield f"  {frame.get('filename')}:{frame.get('lineno')} in {frame.get('name')}"
        yield from f"{error.get('exc_type')}: {error.get('exc_value')}".splitlines()
