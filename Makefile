# `make` prints what there is. Two commands are enough on a bare Debian 12: `make demo` and `make test`.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

PYTHON ?= python3
export PYTHON

# Without compiled files every command and every part of a pool compiles this project again: a third of their start.
unexport PYTHONDONTWRITEBYTECODE

BIN := .venv/bin
PACKAGES := proto core sandbox search client worker coordinator
PROTOS := $(sort $(wildcard proto/ar_proto/v1/*.proto))
ENVIRONMENT_SCRIPTS := deploy/make-environment.sh deploy/uv.sh

# Half of what a test does is waiting for rooms, servers and disks; more than eight wait for each other.
PYTEST_WORKERS ?= $(shell echo $$((2 * $$(nproc))))
PYTEST_MAX_WORKERS ?= 8
PYTEST_ARGS ?=

# A stamp holds the folder it was made for: an environment does not survive being moved or copied elsewhere.
STAMP := .venv/.made-in
PROTO_STAMP := .venv-proto/.made-in
made_here = $(if $(filter $(CURDIR),$(shell cat $(1) 2>/dev/null)),,FORCE)

.PHONY: help
help: ## this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

# --- Using it

.PHONY: setup
setup: $(STAMP) ## make or refresh .venv from the lock (quick when nothing changed)

.PHONY: demo
demo: setup ## a whole pool on this machine: two problems, two workers, a leaderboard
	@exec $(BIN)/ar-coordinator demo

# --- Checking it

.PHONY: check
check: setup lint types imports dependencies proto-lint proto-check ## everything that needs no running (under 2 minutes)

.PHONY: lint
lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

.PHONY: types
types: setup
	$(BIN)/mypy

.PHONY: imports
imports: setup
	$(BIN)/lint-imports --no-cache --no-logo

.PHONY: dependencies
dependencies: setup
	$(BIN)/deptry --no-ansi $(PACKAGES)

.PHONY: proto-lint
proto-lint: setup
	cd proto && BUF_CACHE_DIR=../.venv/.buf ../$(BIN)/buf lint # its usual place is in HOME, which may not be writable

.PHONY: test
test: setup browser ## all tests; PYTEST_ARGS="tests/core -k lease" for some of them
	@$(BIN)/pytest -n $(PYTEST_WORKERS) --maxprocesses $(PYTEST_MAX_WORKERS) --dist loadfile --no-loadscope-reorder \
	    --durations=10 $(PYTEST_ARGS)

.PHONY: attacks
attacks: setup ## every attack of docs/6 against this machine's rooms and a pool, and a table of what came of each
	@$(BIN)/python -m pytest -n $(PYTEST_WORKERS) --maxprocesses $(PYTEST_MAX_WORKERS) --dist loadfile \
	    -p tests.attacks.table $(PYTEST_ARGS) tests/attacks \
	    $$(sed -n 's/^[^#]*"\(tests[^"]*\)".*/\1/p' tests/attacks/elsewhere.toml)

.PHONY: bench
bench: setup ## measurements: tables here, numbers into bench/results.json
	@mkdir -p bench
	@for script in $(sort $(wildcard tests/bench/bench_*.py)); do echo "== $$script"; $(BIN)/python "$$script"; done

# --- Changing it

.PHONY: fmt
fmt: setup ## format the code and repair what ruff can repair
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

.PHONY: proto
proto: $(PROTO_STAMP) ## generate proto/ar_proto/v1/*_pb2* again
	rm -f proto/ar_proto/v1/*_pb2.py proto/ar_proto/v1/*_pb2.pyi proto/ar_proto/v1/*_pb2_grpc.py proto/ar_proto/v1/*_pb2_grpc.pyi
	$(call generate,proto)

.PHONY: proto-check
proto-check: $(PROTO_STAMP) ## prove that the generated code is what the .proto files say
	@fresh=$$(mktemp -d); trap 'rm -rf "$$fresh"' EXIT; \
	$(call generate,"$$fresh"); \
	diff -r --brief --exclude=__pycache__ --exclude=__init__.py --exclude='*.proto' --exclude=py.typed \
	    "$$fresh/ar_proto/v1" proto/ar_proto/v1 \
	    || { echo "The generated code is not what the .proto files say. Run: make proto" >&2; exit 1; }

.PHONY: lock
lock: ## write requirements/*.lock again; UPGRADE=1 takes newer releases
	deploy/lock.sh $(if $(UPGRADE),--upgrade)

.PHONY: clean
clean: ## remove caches and what was built (the environments stay: make clean-all)
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find $(PACKAGES) tests problems -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: clean-all
clean-all: clean
	rm -rf .venv .venv-setup .venv-proto

# --- How

define generate
.venv-proto/bin/python -m grpc_tools.protoc -I proto \
	--plugin=protoc-gen-mypy=.venv-proto/bin/protoc-gen-mypy \
	--plugin=protoc-gen-mypy_grpc=.venv-proto/bin/protoc-gen-mypy_grpc \
	--python_out=$(1) --grpc_python_out=$(1) --mypy_out=quiet:$(1) --mypy_grpc_out=quiet:$(1) $(PROTOS)
endef

.PHONY: FORCE
FORCE:

.PHONY: system
system:
	@deploy/install-system-packages.sh

.PHONY: browser
browser:
	@deploy/install-system-packages.sh --browser

$(STAMP): requirements/dev.lock requirements/setup.lock pyproject.toml $(ENVIRONMENT_SCRIPTS) $(call made_here,$(STAMP)) | system
	@deploy/make-environment.sh .venv requirements/dev.lock --project
	@echo "Ready: $(BIN)/ar-coordinator, $(BIN)/ar-pool, $(BIN)/ar-worker" >&2

$(PROTO_STAMP): requirements/proto.lock requirements/setup.lock $(ENVIRONMENT_SCRIPTS) $(call made_here,$(PROTO_STAMP)) | system
	@deploy/make-environment.sh .venv-proto requirements/proto.lock
