# Every target sets up what it needs in .venv and is quick when nothing changed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help install demo test quick check simulate bench contract docs format lock clean

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## set up .venv from the lock file

$(STAMP): pyproject.toml requirements.lock setup.py $(wildcard streams/forest/*.py streams/forest/*.[ch])
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Riverwatch needs Python 3.11 or newer; set PYTHON=python3.x")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(BIN)/uv || $(BIN)/pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e .
	@touch $@

demo: $(STAMP) ## a real Kafka, a worker, the API and real data; prints anomalies (ARGS=--once ends by itself)
	$(BIN)/riverwatch demo $(ARGS)

test: $(STAMP) ## all tests but the slow ones, which ARGS="-m slow" runs (they start their own Kafka)
	$(BIN)/pytest -q -n 2 --dist loadfile $(ARGS)

quick: $(STAMP) ## the tests that need no Kafka and no thousands of examples, for the loop while working
	$(BIN)/pytest -q -n 2 -m "not slow and not kafka and not thorough" $(ARGS)

check: $(STAMP) ## lint, format, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

simulate: $(STAMP) ## workers under faults on a log in memory, compared with undisturbed ones: ARGS="--seeds 10000"
	$(BIN)/python -m tests.simulation $(ARGS)

bench: $(STAMP) ## list the benchmarks; ARGS=NAME runs one
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --group bench
	@test -x $(VENV)/quix/bin/python || $(BIN)/uv venv --quiet --python $(BIN)/python $(VENV)/quix
	@$(BIN)/uv pip install --quiet --python $(VENV)/quix/bin/python quixstreams==3.28.1
	$(BIN)/python -m tests.bench $(ARGS)

contract: $(STAMP) ## replay all of a live OpenSearch's answers: needs their folder, which is not supplied (ARGS=FOLDER)
	$(BIN)/python -m tests.contract $(ARGS)

docs: $(STAMP) ## write docs/settings.md anew from the settings
	$(BIN)/python -m tests.settings_page

format: $(STAMP) ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(STAMP) ## resolve pyproject.toml into requirements.lock
	$(BIN)/uv pip compile pyproject.toml --group dev --universal --no-header --no-annotate --quiet -o requirements.lock

clean: ## remove .venv and what builds left
	rm -rf $(VENV) build *.egg-info streams/forest/*.so .mypy_cache .ruff_cache .hypothesis
