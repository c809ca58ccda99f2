"""Real servers on loopback that keep what alerts send to them: SMTP and a Slack webhook; and one that never answers."""

from __future__ import annotations

import asyncio
import email
import email.policy
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller


@dataclass
class Mailbox:
    """A mail server's address and what came in."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)

    @property
    def subjects(self) -> list[str]:
        return [str(mail["Subject"]) for mail in self.mails]

    @property
    def connection(self) -> str:
        """The Airflow connection `smtp_default` to it."""
        return (
            f"smtp://127.0.0.1:{self.port}/?disable_ssl=true&disable_tls=true&from_email=airflow%40claims.invalid"
            "&timeout=60&retry_limit=5"  # a user's patience; alerts have their own
        )


@dataclass
class Webhook:
    """A webhook's address and the messages that were posted; the next `failures` of them it answers with an error."""

    port: int = 0
    messages: list[dict[str, Any]] = field(default_factory=list)
    failures: int = 0

    @property
    def texts(self) -> list[str]:
        return [message["text"] for message in self.messages]

    @property
    def connection(self) -> str:
        """The Airflow connection `slack_default` to it."""
        return json.dumps(
            {"conn_type": "slackwebhook", "host": f"http://127.0.0.1:{self.port}/services", "password": "T0/B0/secret"}
        )


@contextmanager
def mail_server(delay: float = 0) -> Iterator[Mailbox]:
    """A mail server that takes `delay` seconds for each of three of its answers."""
    box = Mailbox()

    class Handler:
        async def handle_MAIL(  # noqa: N802
            self, _server: object, _session: object, envelope: Any, address: str, options: list[str]
        ) -> str:
            await asyncio.sleep(delay)
            envelope.mail_from = address
            envelope.mail_options.extend(options)
            return "250 OK"

        async def handle_RCPT(  # noqa: N802
            self, _server: object, _session: object, envelope: Any, address: str, _options: list[str]
        ) -> str:
            await asyncio.sleep(delay)
            envelope.rcpt_tos.append(address)
            return "250 OK"

        async def handle_DATA(self, _server: object, _session: object, envelope: Any) -> str:  # noqa: N802
            box.mails.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
            await asyncio.sleep(delay)
            return "250 OK"

    box.port = free_port()
    controller = Controller(Handler(), hostname="127.0.0.1", port=box.port)
    controller.start()
    try:
        yield box
    finally:
        controller.stop()


@contextmanager
def webhook() -> Iterator[Webhook]:
    hook = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            hook.messages.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(500 if hook.failures > 0 else 200)
            hook.failures -= 1
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_arguments: object) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hook.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hook
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def silence() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def wait_until(ready: Any, timeout: float, what: str = "") -> None:
    """Poll until `ready()` is true."""
    deadline = time.monotonic() + timeout
    while not ready():
        assert time.monotonic() < deadline, what or "timed out"
        time.sleep(0.2)
