# Everything a newcomer needs: `make demo`, `make test`. Each builds its own environment in .venv.
PYTHON ?= python3
BIN := .venv/bin
KUBE ?= ../shared/kube

.PHONY: demo test test-all test-distributed test-kubernetes test-s3 soak lint format bench docs clean
.DEFAULT_GOAL := test

.venv/.base: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade -c constraints.txt pip
	$(BIN)/python -m pip install --quiet -c constraints.txt -e .
	touch $@

.venv/.%: .venv/.base
	$(BIN)/python -m pip install --quiet -c constraints.txt --group $*
	touch $@

.venv/.test: .venv/.base $(wildcard plugins/*/pyproject.toml)
	$(BIN)/python -m pip install --quiet -c constraints.txt --group test
	$(BIN)/python -m pip install --quiet --no-deps $(addprefix -e ,$(wildcard plugins/*))
	touch $@

.venv/.extra-%: .venv/.base
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[$*]"
	touch $@

demo: .venv/.extra-demo      ## the main job on real work: table and picture in out/; ARGS=--compare adds stock Dask
	$(BIN)/python examples/01_photographs.py $(ARGS)

test: .venv/.test            ## the default tests, under ten minutes on two cores
	$(BIN)/python -m pytest

test-all: .venv/.test .venv/.extra-demo  ## also the slow ones
	$(BIN)/python -m pytest -m ""

test-distributed: .venv/.test  ## Dask's own tests with our plugin; DISTRIBUTED_SOURCE=DIR: a checkout of distributed
	$(BIN)/python tests/distributed/run.py

test-kubernetes: .venv/.test .venv/.lab  ## on a real control plane, started from KUBE and ended after them; as root
	tests/kubernetes/run.sh $(KUBE)

soak: .venv/.test .venv/.lab  ## the long forms of the tests of faults; hours
	SUPREME_FENCING_RUNS=500 SUPREME_FAULT_RUNS=10 SUPREME_STORM_TASKS=10000 SUPREME_SCALE_EVENTS=1000 \
		SUPREME_DIFFERENTIAL_PROGRAMS=100000 SUPREME_DIFFERENTIAL_PROCESSES=500 \
		SUPREME_BOUNDED_EXAMPLES=5000 SUPREME_BOUNDED_ROUNDS=40 SUPREME_BOUNDED_EVENTS=300 \
		$(BIN)/python -m pytest tests/stores tests/scheduler/test_storm.py tests/scheduler/test_scale_events.py \
		tests/core/test_bounded.py tests/scheduler/test_bounded.py tests/resilience/test_bounded.py \
		tests/differential -m "slow or not slow" --timeout 12000
	if tests/kubernetes/run.sh --check $(KUBE); then SUPREME_KUBERNETES_STEPS=1000 SUPREME_KUBERNETES_WORKERS=30 \
		tests/kubernetes/run.sh $(KUBE); fi

test-s3:                     ## blobs on S3, served on loopback; apart, for botocore wants an older dateutil than ours
	$(PYTHON) -m venv .venv/s3
	.venv/s3/bin/python -m pip install --quiet --upgrade pip
	.venv/s3/bin/python -m pip install --quiet -e . --group test --group s3
	.venv/s3/bin/python -m pytest tests/state/test_blobs.py

lint: .venv/.test .venv/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

format: .venv/.lint
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/.test           ## benchmarks; figures go to out/
	mkdir -p out
	$(BIN)/python tests/benchmarks/overhead.py --json out/overhead.json
	$(BIN)/python tests/benchmarks/throughput.py --json out/throughput.json
	$(BIN)/python tests/benchmarks/ordinary.py --json out/ordinary.json --picture out/ordinary.png
	$(BIN)/python tests/benchmarks/mixed_memory.py --json out/mixed_memory.json
	$(BIN)/python tests/benchmarks/sharing.py --json out/sharing.json
	$(BIN)/python tests/benchmarks/groups.py --json out/groups.json

docs: .venv/.docs
	$(BIN)/sphinx-build -q -W -b html docs docs/_build/html

clean:
	rm -rf .venv build dist docs/_build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
