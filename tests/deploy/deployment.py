"""Reads the deployment's files the way Docker does, as far as the tests need it (no Docker engine runs on CI)."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath
from typing import Any

import yaml

from ml.settings import PROJECT_ROOT

COMPOSE_FILE = PROJECT_ROOT / "docker-compose.yaml"
DOCKERFILE = PROJECT_ROOT / "Dockerfile"
OWN_IMAGE = "claims-risk-scoring:"
_REFERENCE = re.compile(r"(?P<name>\w+)(?:(?P<operator>:?[-?+])(?P<argument>.*))?", re.DOTALL)


class MissingVariableError(Exception):
    """A `${VAR:?message}` without a value; Compose stops there too."""


@dataclass(frozen=True)
class Reference:
    """A `${NAME<operator><argument>}` of Compose; the operator is "" for a plain `${NAME}`."""

    name: str
    operator: str
    argument: str


@dataclass(frozen=True)
class Mount:
    """A volume (a bare name) or a host path (anything else) in a service."""

    source: str
    target: str
    read_only: bool
    is_bind: bool
    makes_host_path: bool


@cache
def compose() -> dict[str, Any]:
    """Return the Compose file with its merges done and its variables as they stand."""
    return dict(yaml.safe_load(COMPOSE_FILE.read_text()))


def services() -> dict[str, dict[str, Any]]:
    """Return the services by name."""
    return dict(compose()["services"])


def own_services() -> dict[str, dict[str, Any]]:
    """Return the services that run this project's image."""
    return {name: service for name, service in services().items() if service["image"].startswith(OWN_IMAGE)}


def airflow_services() -> dict[str, dict[str, Any]]:
    """Return the services that are a part of Airflow: ours but for the auditors' API."""
    return {name: service for name, service in own_services().items() if name != "claims-api"}


def long_running() -> dict[str, dict[str, Any]]:
    """Return the services that nobody waits for to end."""
    awaited = {
        other
        for service in services().values()
        for other, condition in service.get("depends_on", {}).items()
        if condition["condition"] == "service_completed_successfully"
    }
    return {name: service for name, service in services().items() if name not in awaited}


def mounts(service: Mapping[str, Any]) -> list[Mount]:
    """Return the mounts of a service, from the short and the long form."""
    return [_mount(entry) for entry in service.get("volumes", [])]


def _mount(entry: str | Mapping[str, Any]) -> Mount:
    if isinstance(entry, str):
        source, target, *options = entry.split(":")
        return Mount(source, target, "ro" in options, is_bind=source[0] in "./~$", makes_host_path=True)
    return Mount(
        entry["source"],
        entry["target"],
        bool(entry.get("read_only")),
        is_bind=entry["type"] == "bind",
        makes_host_path=entry.get("bind", {}).get("create_host_path", True),
    )


def texts(node: Any) -> Iterator[str]:
    """Yield every text below a node of the Compose file."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, Mapping):
        for value in node.values():
            yield from texts(value)
    elif isinstance(node, list):
        for value in node:
            yield from texts(value)


def references(node: Any) -> Iterator[Reference]:
    """Yield every variable that Compose looks up below a node, those inside a default too."""
    for text in texts(node):
        for part in _parts(text):
            if isinstance(part, Reference):
                yield part
                yield from references(part.argument)


def handed_on(node: Any) -> set[str]:
    """Return the variables that services take over from outside by an entry without a value."""
    entries = [entry for service in node.values() for entry in service.get("environment", {}).items()]
    return {name for name, value in entries if value is None}


def interpolate(text: str, environ: Mapping[str, str]) -> str:
    """Return a text with its variables filled in.

    Raises:
        MissingVariableError: a required one has no value.
    """
    return "".join(part if isinstance(part, str) else _value(part, environ) for part in _parts(text))


def environment(service: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment a service's container gets from Compose.

    Raises:
        MissingVariableError: a required variable has no value.
    """
    given = service.get("environment", {}).items()
    fixed = {name: interpolate(str(value), environ) for name, value in given if value is not None}
    return fixed | {name: environ[name] for name, value in given if value is None and name in environ}


def _value(reference: Reference, environ: Mapping[str, str]) -> str:
    value = environ.get(reference.name, "")
    if reference.operator == ":+":
        return interpolate(reference.argument, environ) if value else ""
    if value or not reference.operator:
        return value
    if reference.operator == ":?":
        raise MissingVariableError(f"{reference.name} {reference.argument}")
    if reference.operator == ":-":
        return interpolate(reference.argument, environ)
    raise ValueError(f"{reference}: use the forms :- :+ :?, which treat an empty value like none")


def _parts(text: str) -> Iterator[str | Reference]:
    """Split a text into literal pieces and references; `$$` is a literal dollar."""
    while "$" in text:
        literal, _, text = text.partition("$")
        yield literal
        if text.startswith("$"):
            yield "$"
            text = text[1:]
        elif text.startswith("{"):
            end = _closing_brace(text)
            yield _reference(text[1:end])
            text = text[end + 1 :]
        else:
            raise ValueError(f"${text[:20]}: write $$ for a dollar and ${{NAME}} for a variable")
    yield text


def _closing_brace(text: str) -> int:
    depth = 0
    for match in re.finditer(r"\$?\{|\}", text):
        depth += -1 if match.group() == "}" else 1
        if depth == 0:
            return match.start()
    raise ValueError(f"${text[:40]}: the brace is never closed")


def _reference(body: str) -> Reference:
    match = _REFERENCE.fullmatch(body)
    if match is None:
        raise ValueError(f"${{{body}}} is no variable of Compose")
    return Reference(match["name"], match["operator"] or "", match["argument"] or "")


@cache
def instructions() -> list[tuple[str, str]]:
    """Return the Dockerfile's instructions as (name, arguments), comments left out and lines joined."""
    lines = [line for line in DOCKERFILE.read_text().splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in joined.splitlines()]


def image_environment() -> dict[str, str]:
    """Return what `ENV` sets in the final stage."""
    final = instructions()[max(at for at, (name, _) in enumerate(instructions()) if name == "FROM") :]
    pairs = [pair.partition("=") for name, rest in final if name == "ENV" for pair in shlex.split(rest)]
    return {name: value for name, _, value in pairs}


def copied_from_context() -> list[str]:
    """Return the sources of every COPY that takes files of the project."""
    found = []
    for name, rest in instructions():
        words = shlex.split(rest)
        if name in ("COPY", "ADD") and not any(word.startswith("--from=") for word in words):
            found += [word for word in words[:-1] if not word.startswith("--")]
    return found


def is_sent_to_build(path: str) -> bool:
    """Return whether .dockerignore lets a path (of the project, with / between its parts) into the build.

    The last pattern that matches the path or a folder above it decides.
    """
    sent = True
    for line in (PROJECT_ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.strip()
        if pattern and not pattern.startswith("#"):
            names = _pattern(pattern.removeprefix("!").strip("/"))
            if any(names.fullmatch(str(part)) for part in (PurePosixPath(path), *PurePosixPath(path).parents)):
                sent = pattern.startswith("!")
    return sent


def _pattern(text: str) -> re.Pattern[str]:
    """A pattern of .dockerignore; its `*` stops at a slash, `**/` is any number of folders, also none."""
    pieces = re.split(r"(\*\*/|\*|\[[^]]+\])", text)
    special = {"**/": "(?:.*/)?", "*": "[^/]*"}
    return re.compile("".join(special.get(piece, piece if piece[:1] == "[" else re.escape(piece)) for piece in pieces))
