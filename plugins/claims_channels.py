"""The channels of the alerts: e-mail by Airflow's SMTP provider, Slack by its Slack provider (an incoming webhook).

A channel is there when its connection is (`smtp_default`, `slack_default`), and e-mail also needs CLAIMS_ALERT_EMAILS.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from ml.alerts import Alert
    from ml.settings import Settings

log = logging.getLogger(__name__)

SMTP_CONNECTION = "smtp_default"
SLACK_CONNECTION = "slack_default"
TIMEOUT_SECONDS = 5
"""For a channel to answer, each time it is spoken to."""
TOTAL_SECONDS = 10
"""For a channel to take an alert. All are asked at once: Airflow ends a callback after 20 s, with the restore in it."""


class Channels(NamedTuple):
    """How to send, by channel; `all_known`: every connection could be asked for, so that there are no others."""

    senders: dict[str, Callable[[Alert], None]]
    all_known: bool


class _UnreachableError(RuntimeError):
    """Airflow does not say whether a connection exists (the API server is down)."""


def available(settings: Settings, *, log_missing: bool = True) -> Channels:
    """Return the channels whose connection exists; a line in the log for the others.

    Connections are looked up here, in the caller's thread: Airflow answers such a question in one thread only.
    """
    senders: dict[str, Callable[[Alert], None]] = {}
    found: dict[str, Any] = {}
    for conn_id in (SMTP_CONNECTION, SLACK_CONNECTION):
        try:
            found[conn_id] = _connection(conn_id)
        except _UnreachableError:
            log.exception("connection %s cannot be looked up", conn_id)
    smtp, slack = found.get(SMTP_CONNECTION), found.get(SLACK_CONNECTION)
    level = logging.INFO if log_missing else logging.DEBUG
    recipients = settings.alert_recipients
    if not recipients:
        log.log(level, "CLAIMS_ALERT_EMAILS is empty: no e-mail is sent")
    elif smtp is not None:
        senders["email"] = lambda alert: _send_email(smtp, recipients, alert)
    elif SMTP_CONNECTION in found:
        log.log(level, "there is no connection %s: no e-mail is sent", SMTP_CONNECTION)
    if slack is not None:
        senders["slack"] = lambda alert: _send_to_slack(slack, alert)
    elif SLACK_CONNECTION in found:
        log.log(level, "there is no connection %s: nothing is sent to Slack", SLACK_CONNECTION)
    return Channels(senders, all_known=len(found) == 2)


def send_all(channels: dict[str, Callable[[Alert], None]], alert: Alert) -> dict[str, bool | None]:
    """Send on all channels at once; return by channel whether it went out, None when that is not known in time."""
    outcomes: dict[str, bool | None] = dict.fromkeys(channels)

    def send(name: str) -> None:
        try:
            channels[name](alert)
        except Exception:
            outcomes[name] = False
            log.exception("the alert could not be sent by %s", name)
        else:
            outcomes[name] = True
            log.info("the alert was sent by %s: %s", name, alert.subject)

    # Daemons: one that hangs (in a name server, say, where no socket timeout counts) must not keep the process alive.
    threads = {name: threading.Thread(target=send, args=(name,), name=name, daemon=True) for name in channels}
    for thread in threads.values():
        thread.start()
    until = time.monotonic() + TOTAL_SECONDS
    for name, thread in threads.items():
        thread.join(max(until - time.monotonic(), 0))
        if thread.is_alive():
            log.error("%s has not taken the alert within %d s; the watchdog tries again", name, TOTAL_SECONDS)
    return dict(outcomes)


def _connection(conn_id: str) -> Any | None:
    """The connection, None when it does not exist."""
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        return BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        return None
    except Exception as error:
        raise _UnreachableError(conn_id) from error


def _send_email(connection: Any, recipients: list[str], alert: Alert) -> None:
    from airflow.providers.smtp.hooks.smtp import SmtpHook

    class Hook(SmtpHook):
        """The provider's, with a connection that was looked up before and with our patience instead of the user's."""

        timeout = TIMEOUT_SECONDS
        smtp_retry_limit = 0

        @classmethod
        def get_connection(cls, conn_id: str) -> Any:
            return connection

    with Hook(SMTP_CONNECTION) as hook:
        hook.send_email_smtp(to=recipients, subject=alert.subject, html_content=alert.html)


def _send_to_slack(connection: Any, alert: Alert) -> None:
    from airflow.providers.slack.hooks.slack_webhook import SlackWebhookHook

    class Hook(SlackWebhookHook):
        """The provider's, with a connection that was looked up before."""

        @classmethod
        def get_connection(cls, conn_id: str) -> Any:
            return connection

    hook = Hook(slack_webhook_conn_id=SLACK_CONNECTION, timeout=TIMEOUT_SECONDS, retry_handlers=[])
    hook.send(text=alert.subject, blocks=alert.blocks, unfurl_links=False)
