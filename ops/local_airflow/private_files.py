"""The instance's own secrets, made once at random, and what holds them: files that only their owner can read."""

from __future__ import annotations

import base64
import json
import os
import secrets
import shlex
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ops.local_airflow.processes import MARK

ADMIN = "admin"
PASSWORDS_FILE = "airflow-passwords.json"
EXPORTS_FILE = "airflow.env"
_SECRETS_FILE = "secrets.json"
_EXPORTED = ("AIRFLOW", "CLAIMS_", "RULESET_VERSION", "REFRESH_TOP_K")
_NOT_EXPORTED = ("AIRFLOW_CONN_", "CLAIMS_CALLER_DIR", MARK)


@dataclass(frozen=True)
class Secrets:
    """Keys of one local instance. Losing `patient_key` changes every patient key the ETL makes afterwards."""

    fernet_key: str
    jwt_secret: str
    api_secret_key: str
    patient_key: str
    admin_password: str
    claims_api_secret: str = ""  # absent in what an earlier version has made


def load_or_create_secrets(run_dir: Path) -> Secrets:
    """Return the secrets kept in a state directory; make them, and Airflow's password file, the first time.

    Raises:
        ValueError: the file is there but cannot be read as secrets; it is never overwritten.
    """
    path = run_dir / _SECRETS_FILE
    if path.exists():
        try:
            made = Secrets(**json.loads(path.read_text(encoding="utf-8")))
        except (TypeError, json.JSONDecodeError) as error:
            raise ValueError(f"{path} is damaged ({error}); restore it, or remove it to get new secrets") from error
        if not made.claims_api_secret:
            made = replace(made, claims_api_secret=secrets.token_urlsafe(48))
            write_private(path, asdict(made))
    else:
        made = Secrets(
            fernet_key=base64.urlsafe_b64encode(os.urandom(32)).decode(),
            jwt_secret=secrets.token_urlsafe(48),
            api_secret_key=secrets.token_urlsafe(48),
            patient_key=secrets.token_urlsafe(48),
            admin_password=secrets.token_urlsafe(12),
            claims_api_secret=secrets.token_urlsafe(48),
        )
        write_private(path, asdict(made))
    passwords = {ADMIN: made.admin_password}
    if _read_json(run_dir / PASSWORDS_FILE) != passwords:
        write_private(run_dir / PASSWORDS_FILE, passwords)
    return made


def write_exports(run_dir: Path, environment: Mapping[str, str]) -> None:
    """Write what a terminal sources so that `airflow` and the project's commands work on the running stack.

    Without the mark of the stack's processes, as `make down` is to spare that terminal's, and without the caller's
    connections, which only tasks use.
    """
    kept = {
        name: value
        for name, value in sorted(environment.items())
        if name.startswith(_EXPORTED) and not name.startswith(_NOT_EXPORTED)
    }
    lines = [f"export {name}={shlex.quote(value)}" for name, value in kept.items()]
    path = f'export PATH={shlex.quote(str(Path(sys.executable).parent))}:"$PATH"'
    _write_text(run_dir / EXPORTS_FILE, "\n".join([*lines, path, ""]))


def write_private(path: Path, content: Any) -> None:
    """Write JSON with mode 0600, complete or not at all."""
    _write_text(path, json.dumps(content, indent=1))


def _write_text(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
    partial.replace(path)


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
