#!/usr/bin/env bash
# Refresh of the claim scores for cron: works from any directory, returns non-zero when the refresh fails.
# REFRESH_TOP_K: the riskiest claims that QC looks at (unset: the setting in .env, else 50). PYTHON: interpreter (default: the project's .venv).
set -euo pipefail
root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../.." && pwd)
python=${PYTHON:-$root/.venv/bin/python}
if ! command -v "$python" >/dev/null; then
  echo "ERROR: $python not found: run 'make setup' in $root first, or set PYTHON" >&2
  exit 127
fi
cd "$root"
exec "$python" -m ml.pipelines.refresh_ml_scores ${REFRESH_TOP_K:+--top-k "$REFRESH_TOP_K"} "$@"
