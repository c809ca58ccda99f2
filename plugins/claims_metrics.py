"""The project's own metrics, through Airflow's own switch: `AIRFLOW__METRICS__STATSD_ON` (docs/deployment.md).

Nothing is sent while the switch is off. A metric that cannot be sent is logged, and never fails a task.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ml.qc import QcResult
    from ml.release import Published

log = logging.getLogger(__name__)


def report_publish(published: Published, *, seconds: float) -> None:
    """Tell how a publish ended.

    Sends `claims.publish.rows` (gauge), `claims.publish.switched` (gauge: 1 live, 0 archived only, a newer data date
    being live) and `claims.publish.duration` (timing in ms, like Airflow's own durations).

    Args:
        published: the finished publish.
        seconds: how long it took, the wait for the publish lock included.
    """
    with _harmless():
        from airflow.sdk.observability import stats

        stats.gauge("claims.publish.rows", published.rows)
        stats.gauge("claims.publish.switched", int(published.switched))
        stats.timing("claims.publish.duration", timedelta(seconds=seconds))


def report_quality(result: QcResult) -> None:
    """Tell what QC found: `claims.qc.passed` (gauge, 1 or 0) and `claims.qc.warnings` (gauge, how many).

    Args:
        result: of a QC that passed or failed.
    """
    with _harmless():
        from airflow.sdk.observability import stats

        stats.gauge("claims.qc.passed", int(result.passed))
        stats.gauge("claims.qc.warnings", len(result.warnings))


@contextmanager
def _harmless() -> Iterator[None]:
    try:
        yield
    except Exception:
        log.warning("a metric was not sent", exc_info=True)
