# Everything runs in .venv, which the first command makes.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test lint mutation matrix bench zoo conformance docs clean

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[torch,dev]'
	@touch $(READY)

demo: $(READY)  ## scaffold, prove and break a project through a real MCP client
	$(BIN)/dlcoder demo

test: $(READY)  ## all tests
	$(BIN)/python -m pytest

lint: $(READY)  ## ruff and the type checker
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

mutation: $(READY)  ## seeded bugs that the checks must kill, good and published code that they must not accuse
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[torch,dev,published]'
	$(BIN)/python tests/mutation/components.py
	$(BIN)/python tests/mutation/published_components.py
	$(BIN)/python tests/mutation/projects/project_runner.py

zoo: $(READY)  ## run the programs that really fail, and score diagnosis on their logs
	$(BIN)/python zoo/run.py

matrix: $(READY)  ## every task, framework, form of settings and source, proved; and what each task learns
	$(BIN)/python tests/scaffold/matrix.py

bench: $(READY)  ## every benchmark, each a ratio measured in one run
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[torch,dev,published,peers]'
	for bench in benchmarks/*.py; do $(BIN)/python $$bench || exit 1; done

conformance: $(READY)  ## the official MCP suites, the inspector's lint and the TypeScript client
	$(BIN)/python tests/conformance/run.py

docs: $(READY)  ## one page for every tool, component, cause and check, in docs/site
	$(BIN)/python docs/build.py

clean:
	rm -rf $(VENV) node_modules
