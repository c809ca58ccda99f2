"""`python -m ml.pipelines.serve_claims`: the API that auditors read the scores through (docs/api.md)."""

from __future__ import annotations

from typing import Annotated

import typer
import uvicorn

from ml.pipelines.console import Verbose, failing_in_one_line
from ml.serving import create_app
from ml.settings import SettingsError, load_settings

STOPPING_SECONDS = 10


def main(
    host: Annotated[str, typer.Option(help="Address to listen on.", show_default="CLAIMS_API_HOST")] = "",
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port to listen on.", show_default="CLAIMS_API_PORT")
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Serve the live release: GET /claims/high-risk, /claims/{claim_id}, /providers/high-risk, /health."""
    with failing_in_one_line(SettingsError, verbose=verbose):
        settings = load_settings()
        app = create_app(settings)
    uvicorn.run(
        app,
        host=host or settings.api_host,
        port=port or settings.api_port,
        workers=1,  # whatever WEB_CONCURRENCY says
        http="h11",  # bounds the headers of who has no token yet; the faster parser does not
        log_config=None,  # ours: to standard error, with who read what
        access_log=False,
        proxy_headers=False,  # else whoever calls from this machine writes into our log where he calls from
        server_header=False,
        timeout_graceful_shutdown=STOPPING_SECONDS,
    )


if __name__ == "__main__":
    typer.run(main)
