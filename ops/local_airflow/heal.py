"""`make up` goes on by itself: what has ended is started again, what has fallen silent is ended first.

The same as restart policy and health checks do in docker-compose.yaml.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from ops.local_airflow.stack import LocalAirflow, StackError, ended_message

SILENT_SECONDS = 180.0
"""How long Airflow may call a component unhealthy, with the metadata store well, before it is ended."""

STEADY_SECONDS = 60.0
"""What ends sooner after its start would end again and again; that is for a person."""


class Healer:
    """Looks after the components of a stack that has started."""

    def __init__(
        self,
        stack: LocalAirflow,
        say: Callable[[str], None],
        *,
        silent_seconds: float = SILENT_SECONDS,
        steady_seconds: float = STEADY_SECONDS,
    ) -> None:
        self._stack = stack
        self._say = say
        self._patience = silent_seconds
        self._steady = steady_seconds
        self._well: dict[str, float] = {}
        self._store_back = 0.0

    def look(self) -> None:
        """Heal what is ill now; call it every second or so.

        Raises:
            StackError: a component ends soon after each start.
            StoreError: PostgreSQL does not start again.
        """
        if self._stack.revive_store():
            self._store_back = time.monotonic()
            self._say("PostgreSQL had ended; it runs again")
        silent = self._silent()
        for component in self._stack.components:
            ended = component.process.poll() is not None
            if not ended and component.name not in silent:
                continue
            # Who had started before the store came back may have ended for want of it.
            own_fault = component.started > self._store_back
            if ended and own_fault and time.monotonic() - component.started < self._steady:
                raise StackError(ended_message(component))
            self._say(f"Airflow's {component.name} {'ended by itself' if ended else 'was silent'}; starting it again")
            self._stack.restart(component)

    def _silent(self) -> list[str]:
        """Components that live and have been unhealthy for too long."""
        now = time.monotonic()
        health = self._stack.client.health()
        blind = health.get("metadatabase") != "healthy"  # nobody's heartbeat can be seen then
        for component in self._stack.components:
            state = health.get(component.name.replace("-", "_"), "healthy")
            if blind or state == "healthy":
                self._well[component.name] = now
        return [
            component.name
            for component in self._stack.components
            if now - max(self._well.get(component.name, now), component.started) > self._patience
        ]
