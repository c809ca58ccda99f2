"""Waiting for the ETL of a data date, deferred, until its claims are published or cannot be any more.

`ExternalTaskSensor` as it comes (standard 1.21 on Airflow 3.3) looks at a run or at one of its tasks.
Neither is enough:

- a run whose last task was skipped is a success, though it has published nothing;
- a task that has no state because its run was ended or deleted is waited for until the deadline, and so is a run that
  does not exist (`check_existence` does nothing on Airflow 3);
- whatever went wrong, the error says no more than "External job has failed" or "Trigger timeout".

So `look_at_etl` looks at both; the sensor asks it before it defers and when its time is up, the trigger in between.

Before it fails, the sensor looks for another ETL run that has published the claims of the data date since: one that
somebody triggered with the form has a tick of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from airflow.providers.standard.sensors.external_task import ExternalTaskSensor
from airflow.sdk import DagRunState
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowRuntimeError,
    AirflowSensorTimeout,
    AirflowSkipException,
)
from airflow.triggers.base import BaseTrigger, TriggerEvent

from claims_risk import (
    CLAIMS,
    ETL_DAG,
    ETL_LAST_TASK,
    data_date,
    no_retry_for,
    refuse_data_date_in_backfill,
    refuse_unknown_params,
)
from ml.clock import DataDateError, checked_data_date, data_date_of, etl_tick, now

ENDED = ("success", "failed")
HOPELESS = ("failed", "upstream_failed", "skipped", "removed")
RECENT_EVENTS = 100  # of all data dates; a backfill makes many
UNTOLD = (None, "success", "upstream_failed", "skipped")  # of the other tasks: no cause of anything


@dataclass(frozen=True)
class EtlLook:
    """What a look at the ETL of a data date showed, words for it, and which run it was; None when there is none."""

    verdict: Literal["published", "pending", "failed", "missing"]
    message: str
    run_id: str | None = None


def look_at_etl(ask: Any, tick: datetime) -> EtlLook:
    """Look at the ETL run of a tick.

    Args:
        ask: a task instance or its class; Airflow answers through it in tasks and in the triggerer.
        tick: logical date of the ETL run.

    Raises:
        AirflowRuntimeError: Airflow does not answer.
    """
    day = data_date_of(tick)
    runs = ask.get_task_states(dag_id=ETL_DAG, logical_dates=[tick])
    if not runs:
        return EtlLook("missing", _no_run(tick))
    run_id = next(iter(runs))
    run = DagRunState(ask.get_dagrun_state(dag_id=ETL_DAG, run_id=run_id)).value  # it is an enum in spite of its type
    if run in ENDED:  # its tasks may have ended between the two questions: only now their states are the last ones
        runs = ask.get_task_states(dag_id=ETL_DAG, logical_dates=[tick])
    tasks = runs.get(run_id, {})
    last = tasks.get(ETL_LAST_TASK)
    told = [f"{name} {state}" for name, state in tasks.items() if name != ETL_LAST_TASK and state not in UNTOLD]
    told += [f"{ETL_LAST_TASK} {last}"] if last else []
    shown = f"run {run_id} of {ETL_DAG} is {run}" + (f" ({', '.join(told)})" if told else "")
    if last == "success" and run != "failed":
        return EtlLook("published", f"The claims of data date {day} are published: {shown}.", run_id)
    if last in HOPELESS or run in ENDED:
        return EtlLook(
            "failed",
            f"The ETL of data date {day} has not published its claims: {shown}. Put right what its task logs name and "
            "clear that run, then clear this one. To score the claims that are there nevertheless, trigger with force.",
            run_id,
        )
    return EtlLook("pending", f"The ETL of data date {day} has not ended: {shown}.", run_id)


def published_since(context: Any, tick: datetime, failed: EtlLook) -> str | None:
    """Return another ETL run that has succeeded and published the claims of a tick's data date since; or None.

    What was published before the tick's own run failed does not count: whoever ran that again wants other claims. Only
    the events of the claims say of which data date a run without a tick of it was.

    Args:
        context: of a task that has the claims among its inlets.
        tick: logical date of the ETL run that has not published.
        failed: what was seen of it.

    Raises:
        AirflowRuntimeError: Airflow does not answer.
    """
    since = _end_of(failed.run_id) if failed.run_id else tick
    if since is None:
        return None
    day = str(data_date_of(tick))
    events = context["inlet_events"][CLAIMS].after(since).ascending(False).limit(RECENT_EVENTS)
    of_day = (e for e in events if e.source_dag_id == ETL_DAG and (e.extra or {}).get("data_date") == day)
    run_id = next((event.source_run_id for event in of_day), None)
    # It may have been cleared since.
    good = run_id and context["ti"].get_dr_count(dag_id=ETL_DAG, run_ids=[run_id], states=["success"])
    return run_id if good else None


def _end_of(run_id: str) -> datetime | None:
    from airflow.sdk.execution_time import task_runner
    from airflow.sdk.execution_time.comms import DagRunResult, GetDagRun

    run = task_runner.SUPERVISOR_COMMS.send(GetDagRun(dag_id=ETL_DAG, run_id=run_id))
    return run.end_date if isinstance(run, DagRunResult) else None


def _before_the_first(ask: Any, tick: datetime) -> bool:
    """Whether the ETL's one run is of the next tick: this night was over before there was an ETL.

    Who starts between 01:00 and 02:00 WIB gets the ETL of today and the scoring of yesterday made up for.
    """
    next_one = ask.get_dr_count(dag_id=ETL_DAG, logical_dates=[tick + timedelta(days=1)])
    return bool(next_one) and next_one == ask.get_dr_count(dag_id=ETL_DAG)


def _no_run(tick: datetime) -> str:
    return (
        f"DAG {ETL_DAG} has no run for data date {data_date_of(tick)} (logical date {tick.isoformat()}). If its "
        "claims are there nevertheless, trigger with force; otherwise make one: "
        f"airflow dags trigger {ETL_DAG} --logical-date {tick.isoformat()}"
    )


class EtlSensor(ExternalTaskSensor):
    """Waits for the last task of the ETL run that belongs to the run's data date, for at most `timeout` seconds.

    They count from the run's start, so another try after an error of the machinery gets no new ones; a run that is
    cleared when it has ended starts anew, and with it they do. With the parameter `force` it does not wait.
    """

    def execute(self, context: Any) -> None:
        """Pass, fail or begin to wait.

        Raises:
            AirflowFailException: nothing can come of waiting; the message says why.
            AirflowSkipException: there was no ETL yet in the night that the scheduler makes up for.
        """
        refuse_unknown_params(context)
        refuse_data_date_in_backfill(context)
        with no_retry_for(DataDateError):
            day = checked_data_date(data_date(context))
        if context["params"].get("force"):
            self.log.warning("force: scoring the claims of data date %s as they are, without their ETL", day)
            return
        seen = look_at_etl(context["ti"], etl_tick(day))
        if seen.verdict == "pending":
            left = self._seconds_left(context)
            if left <= 0:
                raise self._too_late(context, seen)
            self.log.info("%s Waiting for %s at most.", seen.message, _hours(left))
            self.defer(
                trigger=EtlTrigger(etl_tick(day), self.poke_interval),
                method_name="execute_complete",
                timeout=timedelta(seconds=left),
            )
        made_up_for = context["dag_run"].run_type == "scheduled"
        if seen.verdict == "missing" and made_up_for and _before_the_first(context["ti"], etl_tick(day)):
            raise AirflowSkipException(f"Data date {day} is of before the first run of {ETL_DAG}: nothing to score.")
        self._end(context, seen)

    def execute_complete(self, context: Any, event: dict[str, Any] | None = None) -> None:
        """Pass or fail as the trigger has seen it."""
        self._end(context, EtlLook(**(event or {})))

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Any) -> Any:
        """Say for what the task has waited when its time is up; a triggerer that was down may have missed the end."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except AirflowSensorTimeout:
            seen = look_at_etl(context["ti"], etl_tick(data_date(context)))
            if seen.verdict == "pending":
                raise self._too_late(context, seen) from None
            return self._end(context, seen)

    def _seconds_left(self, context: Any) -> float:
        begun = context["dag_run"].start_date
        return self.timeout - (now() - begun).total_seconds() if begun else self.timeout

    def _too_late(self, context: Any, seen: EtlLook) -> AirflowSensorTimeout:
        return AirflowSensorTimeout(
            f"Waited {_hours(self.timeout)} (CLAIMS_ETL_DEADLINE_HOURS), no longer. {seen.message} Do not clear that "
            f"run, which would begin anew; clear this one, which then waits for it again.{_paused(context)}"
        )

    def _end(self, context: Any, seen: EtlLook) -> None:
        if seen.verdict == "published":
            self.log.info(seen.message)
            return
        tick = etl_tick(data_date(context))
        if run_id := published_since(context, tick, seen):
            self.log.info(
                "The claims of data date %s are published by run %s of %s.", data_date_of(tick), run_id, ETL_DAG
            )
            return
        raise AirflowFailException(seen.message + _paused(context))


class EtlTrigger(BaseTrigger):
    """Looks at the ETL run of a tick every `interval` seconds until it has published or cannot any more."""

    def __init__(self, tick: datetime, interval: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.tick = tick
        self.interval = interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what another process makes this trigger from."""
        return "claims_waiting.EtlTrigger", {"tick": self.tick, "interval": self.interval}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield what was seen, once."""
        from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

        before = ""
        while True:
            try:
                seen = await asyncio.to_thread(look_at_etl, RuntimeTaskInstance, self.tick)
            except AirflowRuntimeError as error:  # the API server restarts, say: no reason to give up a night
                self.log.warning("Airflow does not answer (%s); looking again.", error)
            else:
                if seen.verdict != "pending":
                    yield TriggerEvent(asdict(seen))  # type: ignore[no-untyped-call]
                    return
                if seen.message != before:
                    self.log.info(seen.message)
                before = seen.message
            await asyncio.sleep(self.interval)


def _paused(context: Any) -> str:
    """Words for an ETL that cannot go on because somebody has paused it, whatever is done about its runs."""
    try:
        paused = context["ti"].get_dag(ETL_DAG).is_paused
    except AirflowRuntimeError:  # no reason to lose what there is to say
        return ""
    return f" DAG {ETL_DAG} is paused, so that no run of it goes on: airflow dags unpause {ETL_DAG}" if paused else ""


def _hours(seconds: float) -> str:
    return f"{round(seconds / 3600, 2):g} h"
