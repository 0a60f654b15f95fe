# Everything Rollwave does for its developers. `make` alone lists it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
CODEGEN := .venv-codegen

.DEFAULT_GOAL := help
.PHONY: help run simulate test conformance live fuzz soak check mutate format snapshots client bench lock

help: ## List the commands
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 20

run: $(READY) ## Watch it work: a server, PostgreSQL, a simulated fleet; ARGS="--devices 1000 --once" for more
	@$(BIN)/python -m tools.demo $(ARGS)

simulate: $(READY) ## Ten thousand devices, many in trouble, for half an hour; ARGS="--devices 120 --poll-seconds 1" for less
	@$(BIN)/python -m tools.simulate $(ARGS)

test: $(READY) ## Run the tests, some minutes; ARGS="-k seed" for some of them
	@$(BIN)/python -m pytest --numprocesses auto $(ARGS)

conformance: $(READY) ## Ask another server what agents rely on: URL=https://… TOKEN=<an operator's>
	@ROLLWAVE_URL=$(URL) ROLLWAVE_TOKEN=$(TOKEN) $(BIN)/python -m pytest tests/conformance $(ARGS)

live: $(READY) ## Try it with registries and GraphQL clients that others wrote, four minutes; it installs them, some only as root
	@live/install $(BIN)/python
	@$(BIN)/python -m pytest live $(ARGS)

fuzz: $(READY) ## Damage webhooks at random and read them, for half a minute; ARGS="--seconds 600" for longer
	@$(BIN)/python -m tools.fuzz $(ARGS)

soak: $(READY) ## Let clients follow events while all that can go away does, for three minutes; ARGS="--seconds 600" for longer
	@$(BIN)/python -m tools.soak $(ARGS)

check: $(READY) ## Format, lint, types, import contracts, tests
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(MAKE) --no-print-directory test

mutate: $(READY) ## Change the engine in 1,400 ways, one at a time; list what no test notices (docs/mutants.md)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check mutmut==3.8.1
	@rm -rf mutants
	@$(BIN)/mutmut run --max-children 1
	@$(BIN)/mutmut results

format: $(READY) ## Format, and mend what the linter can
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format .

snapshots: $(READY) ## Rewrite schema/schema.graphql, server/openapi.json and storage/schema.sql; read the diff
	@$(BIN)/python -m tools.snapshots

client: $(READY) ## Rewrite client/rollwave/api from schema/schema.graphql and client/documents; read the diff
	@test -x $(CODEGEN)/bin/ariadne-codegen || ($(PYTHON) -m venv --clear $(CODEGEN) && \
	  $(CODEGEN)/bin/python -m pip install --quiet --disable-pip-version-check $$($(BIN)/python -m tools.client pin))
	@$(BIN)/python -m tools.client $(CODEGEN)/bin/ariadne-codegen

bench: $(READY) ## Measure; JSON=file writes the figures too
	@$(BIN)/python -m tools.bench $(if $(JSON),--json $(JSON))

lock: $(READY) ## Pin what pyproject.toml asks for, with hashes and without addresses
	@$(BIN)/pip-compile $(PIN) -o requirements.lock pyproject.toml
	@$(BIN)/pip-compile $(PIN) --extra dev -o requirements-dev.lock pyproject.toml

PIN := --quiet --generate-hashes --strip-extras --allow-unsafe --no-header \
       --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options

$(READY): requirements-dev.lock
	@echo "setting up $(VENV) …"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable client
	@touch $@
