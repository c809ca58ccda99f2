# The image of all Airflow services in docker-compose.yaml; see docs/deployment.md, also for what it needs. Built by BuildKit.
FROM python:3.11-slim-bookworm AS base

FROM base AS packages
ENV UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_PYTHON_DOWNLOADS=never
WORKDIR /build
COPY requirements.txt pyproject.toml ./
# The lock also holds what only tests need, so it constrains the project's own dependencies and is not installed
# whole; the last command fails when anything stands outside the lock. Wheels only: no compiler is ever needed.
RUN --mount=type=cache,target=/root/.cache \
    pip install --no-cache-dir --root-user-action=ignore "$(grep '^uv==' requirements.txt)" \
    && uv venv --quiet /opt/venv \
    && uv pip install --python /opt/venv/bin/python --only-binary :all: --constraint requirements.txt -r pyproject.toml \
    && sed 's/ *;.*//' requirements.txt > locked.txt \
    && uv pip freeze --python /opt/venv/bin/python > installed.txt \
    && ! grep -vxFf locked.txt installed.txt

FROM base
# The id is fixed so that the raw files of the host can be made readable for it. A new named volume takes owner and mode
# of the folder it is mounted on. Never run `airflow` in a build: its first start writes generated keys to airflow.cfg.
RUN groupadd --gid 10001 claims \
    && useradd --no-log-init --uid 10001 --gid claims --home-dir /opt/airflow --shell /usr/sbin/nologin claims \
    && install --directory --owner=claims --group=claims --mode=0750 \
        /opt/airflow /opt/airflow/auth /opt/airflow/logs /opt/claims/instance
COPY --from=packages /opt/venv /opt/venv
# `ml.sql` finds include/sql beside the package, hence the whole tree and PYTHONPATH instead of an installed wheel.
ENV PATH="/opt/venv/bin:$PATH" \
    PYTHONPATH=/opt/claims/include \
    PYTHONUNBUFFERED=1 \
    AIRFLOW_HOME=/opt/airflow \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/claims/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=/opt/claims/plugins \
    AIRFLOW__CORE__LOAD_EXAMPLES=False
WORKDIR /opt/claims
COPY include/ include/
COPY plugins/ plugins/
COPY dags/ dags/
RUN python -m compileall -q include plugins dags
USER 10001:10001
# Last, because they change with every commit and would make every layer after them anew.
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="claims-risk-scoring" \
    org.opencontainers.image.description="Apache Airflow with the DAGs and the code that score JKN claims every night" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="$VERSION" \
    org.opencontainers.image.revision="$REVISION"
CMD ["airflow", "info"]
