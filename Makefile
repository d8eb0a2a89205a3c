# The commands that the project keeps. Each sets up what it needs: nothing is to be installed by hand.
PYTHON ?= $(shell ./choose-python)
VENV ?= .venv
BIN := $(VENV)/bin
SEEDS ?= 1000
JOBS ?= 2
EXAMPLES ?= 10000
MINUTES ?= 30
COUNT ?= 40
SEED ?= 1
OPERATIONS ?= 20000
UP ?=
SUITES ?=
comma := ,

.PHONY: up test check bench explore explore-mutations fuzz mutants soak trial trial-of-hotplug conformance conformance-openstack consistency format clean

up: $(VENV)/.installed ## set up everything and start the whole cloud on 127.0.0.1
	@exec $(BIN)/drystone up $(UP)

test: $(VENV)/.installed-dev ## the whole suite, system packages included
	$(BIN)/python -m pytest -n auto --dist loadgroup tests

check: $(VENV)/.installed-dev ## format, lint, types, imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

guest.raw: ## a small image that boots, for the tour of servers: Debian's kernel and busybox
	@if [ "$$(id -u)" = 0 ]; then ./setup-system guest; fi
	tests/guests/get-kernel $(abspath $(VENV))/guest-kernel
	$(BIN)/python -m tests.guests.image.make .

bench: $(VENV)/.installed-bench ## figures against a peer, appended to bench/history.jsonl and drawn
	$(BIN)/python -m bench

explore: $(VENV)/.installed-dev ## exploration of faults by seed, for as long as one likes: make explore SEEDS=100000
	$(BIN)/python -m tests.simulation.explore --seeds $(SEEDS) --jobs $(JOBS) --keep-going
	$(BIN)/python -m tests.simulation.explore --workload volume --seeds $$(( ($(SEEDS) + 9) / 10 )) --jobs $(JOBS) --keep-going
	$(BIN)/python -m tests.simulation.explore --workload wired --seeds $$(( ($(SEEDS) + 9) / 10 )) --jobs $(JOBS) --keep-going
	$(BIN)/python -m tests.simulation.explore --workload fleet --workload boxes --seeds $$(( ($(SEEDS) + 9) / 10 )) --jobs $(JOBS) --keep-going

explore-mutations: $(VENV)/.installed-dev ## plant each known mistake, and see that the exploration catches it
	$(BIN)/python -m tests.simulation.explore --mutations --jobs $(JOBS)

consistency: $(VENV)/.installed-dev ## the model of the quorum protocol, by seed: make consistency SEEDS=10000
	$(BIN)/python -m tests.consistency.explore --seeds $(SEEDS) --jobs $(JOBS)
	$(BIN)/python -m tests.consistency.explore --mistakes --jobs $(JOBS)

fuzz: $(VENV)/.installed-dev ## near-valid requests at the whole surface, for as long as one likes: make fuzz EXAMPLES=100000
	$(BIN)/python -m tests.fuzz --examples $(EXAMPLES)

mutants: $(VENV)/.installed-dev ## mistakes in copies of store/ and authn/ that tests are to notice: make mutants COUNT=40 SEED=1
	$(BIN)/python -m tests.mutants --count $(COUNT) --seed $(SEED)

soak: $(VENV)/.installed-dev ## mixed load against a model, for as long as one likes: make soak MINUTES=30
	$(BIN)/python -m tests.soak --minutes $(MINUTES)

trial: $(VENV)/.installed-dev ## five machines under load and faults of all kinds, and their history judged (root, etcd, Go)
	$(BIN)/python -m tests.cluster.trial --operations $(OPERATIONS)

trial-of-hotplug: $(VENV)/.installed-dev ## a disk attached to a guest that writes, grown and detached, in a real virtual machine
	$(BIN)/python -m pytest -n0 tests/guests/trial_of_hotplug.py

conformance: $(VENV)/.installed-dev ## Swift's own functional suite, installed into .venv-conformance, against a fresh Drystone
	$(BIN)/python -m tests.conformance.swift

conformance-openstack: $(VENV)/.installed-dev ## tempest's and openstackclient's tests: make conformance-openstack SUITES="--rbac"
	$(BIN)/python -m tests.conformance.openstack $(SUITES)

format: $(VENV)/.installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(VENV)/bin/python:
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || ./setup-system python
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	@if [ "$$(id -u)" = 0 ]; then ./setup-system networks && ./setup-system servers; fi # for root alone
	$(BIN)/pip install --quiet --editable .[isal$(if $(filter 0,$(shell id -u)),$(comma)guests)]
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(VENV)/bin/python
	./setup-system test
	$(BIN)/pip install --quiet --editable .[isal,bench,dev,clients,guests,ldap,saml]
	tests/guests/get-kernel $(abspath $(VENV))/guest-kernel
	tests/federation/get-provider $(abspath $(VENV))/openid-provider
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-bench: $(VENV)/.installed-dev
	./setup-system bench
	@touch $@

clean:
	rm -rf $(VENV) .venv-conformance .venv-conformance-openstack .mypy_cache .pytest_cache .ruff_cache .hypothesis build *.egg-info
