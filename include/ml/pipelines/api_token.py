"""`python -m ml.pipelines.api_token NAME`: a token for the API."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from ml.clock import now
from ml.pipelines.console import fail, say
from ml.serving.tokens import make_token
from ml.settings import SettingsError, load_settings

MAX_HOURS = 24 * 90


def main(
    subject: Annotated[str, typer.Argument(help="Whose token it is; the API's log names it with each request.")],
    hours: Annotated[float, typer.Option(min=0.01, max=MAX_HOURS, help="How long it lets in.")] = 12,
) -> None:
    """Print a token signed with CLAIMS_API_JWT_SECRET. Whoever holds it can read the claims until it expires."""
    try:
        secret = load_settings().api_jwt_secret
    except SettingsError as error:
        fail(error)
    if secret is None:
        fail("CLAIMS_API_JWT_SECRET is not set: the token must be signed with the secret that the API checks it with.")
    if not subject.strip():
        fail("the name is empty")
    say(make_token(secret.get_secret_value(), subject.strip(), timedelta(hours=hours), now()))


if __name__ == "__main__":
    typer.run(main)
