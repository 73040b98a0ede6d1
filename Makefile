# Everything a newcomer needs: `make demo`, `make test`. Each builds its own environment in .venv.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-all soak lint format bench docs clean
.DEFAULT_GOAL := test

.venv/.base: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade -c constraints.txt pip
	$(BIN)/python -m pip install --quiet -c constraints.txt -e .
	touch $@

.venv/.%: .venv/.base
	$(BIN)/python -m pip install --quiet -c constraints.txt --group $*
	touch $@

.venv/.extra-%: .venv/.base
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[$*]"
	touch $@

test: .venv/.test            ## the default tests, under ten minutes on two cores
	$(BIN)/python -m pytest

test-all: .venv/.test        ## also the slow ones
	$(BIN)/python -m pytest -m ""

soak: .venv/.test            ## the long forms of fault, fencing and linearizability tests; about an hour
	SUPREME_FENCING_RUNS=500 $(BIN)/python -m pytest tests/stores -m "slow or not slow" --timeout 12000

lint: .venv/.test .venv/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

format: .venv/.lint
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv build dist docs/_build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
