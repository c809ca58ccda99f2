"""What `make api` does: the auditors' API on this instance, with a secret of its own and a token to try it with."""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from typing import NoReturn

from rich.console import Console

from ml.clock import now
from ml.serving.tokens import make_token
from ops.local_airflow.commands import Project
from ops.local_airflow.private_files import load_or_create_secrets
from ops.local_airflow.state import make_run_dir

TOKEN_HOURS = 12
EXAMPLE = "/claims/high-risk?service_type=RITL&severity=sedang&page_size=5"


def api(console: Console, project: Project) -> NoReturn:
    """Print how to call the API, and become its process."""
    settings = project.settings
    make_run_dir(project.run_dir)
    if settings.api_jwt_secret is None:
        secret = load_or_create_secrets(project.run_dir).claims_api_secret
    else:
        secret = settings.api_jwt_secret.get_secret_value()
    token = make_token(secret, "make-api", timedelta(hours=TOKEN_HOURS), now())
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.api_host, settings.api_host)  # noqa: S104
    address = f"http://[{host}]:{settings.api_port}" if ":" in host else f"http://{host}:{settings.api_port}"
    console.print(f"The API will be at [bold]{address}[/bold]; in another terminal, within {TOKEN_HOURS} hours:\n")
    console.print(
        f"  curl -H 'Authorization: Bearer {token}' \\\n    '{address}{EXAMPLE}'\n", soft_wrap=True, markup=False
    )
    console.print("Stop it with Ctrl-C.\n")
    sys.stdout.flush()
    environment = os.environ | {
        "CLAIMS_API_JWT_SECRET": secret,
        "CLAIMS_INSTANCE_DIR": str(project.instance_dir),
    }
    os.execve(sys.executable, [sys.executable, "-m", "ml.pipelines.serve_claims"], environment)  # noqa: S606
