# Two commands do everything: `make run` and `make test`. Nothing but Python 3.11 to 3.13 and make is needed.
PY := .venv/bin/python
LOCAL := $(PY) -m ops.local_airflow

export CLAIMS_CALLER_DIR := $(PWD)
unexport PYTHONDONTWRITEBYTECODE # without bytecode every start would compile Airflow anew
.DEFAULT_GOAL := help
.PHONY: help run up api down status test e2e lint types lock sample clean setup

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' Makefile
	@echo 'Variables: CLAIMS=50000 (sample size), CLAIMS_RAW_DIR=folder (your own files), AIRFLOW_PORT=8080, CLAIMS_API_PORT=8090, PYTHON=python3.11'

run: setup ## Run tonight's ETL and scoring through Airflow on sample claims (or CLAIMS_RAW_DIR) and print the report
	@$(LOCAL) run

up: setup ## Start the whole Airflow with its UI on 127.0.0.1:8080 and all schedules; Ctrl-C stops it
	@$(LOCAL) up

api: setup ## Serve the live release to auditors on 127.0.0.1:8090, and print a token to try it with; Ctrl-C stops it
	@$(LOCAL) api

down: ## Stop everything, also what a killed `make run` or `make up` left behind
	@if [ -x $(PY) ]; then $(LOCAL) down; else echo 'Nothing is running.'; fi

status: ## Say what is running
	@if [ -x $(PY) ]; then $(LOCAL) status; else echo 'Nothing is running.'; fi

test: ## Check style, SQL and types, and run the tests
	@$(MAKE) --no-print-directory --jobs=2 --output-sync lint types # each keeps one core busy
	@$(PY) -m pytest --numprocesses=2 --dist=loadfile

e2e: setup ## Run all end-to-end tests, and what else `make test` leaves out (half an hour or more)
	@$(PY) -m pytest --numprocesses=2 --dist=loadfile -m 'e2e or e2e_slow or slow' tests

lint: setup ## Check Python style and format, and the SQL
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/sqlfluff lint include/sql

types: setup ## Check the types
	.venv/bin/mypy

lock: setup ## Compile requirements.txt anew from pyproject.toml
	.venv/bin/uv pip compile --quiet --universal --python-version 3.11 --extra local --extra dev pyproject.toml \
		-o requirements.txt --no-header

sample: setup ## Generate the sample claims, unless they are there
	@$(LOCAL) sample

clean: ## Stop everything; remove the stack's state, .venv and caches, never claims or releases
	@if [ -x $(PY) ]; then $(LOCAL) clean; fi
	rm -rf .venv .venv-bootstrap .mypy_cache .pytest_cache .ruff_cache .hypothesis

setup: # Build .venv from the lock when it is missing or out of date
	@python=$$(ops/find_python.sh) && "$$python" ops/bootstrap.py
