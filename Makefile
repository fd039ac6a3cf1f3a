# Kilonova: `make up` starts a cloud on this machine, `make test` checks everything. `make help` lists the rest.

PYTHON ?= python3
DRIVER ?=
STATE_DIR ?=
PORT ?=
UP_ARGS ?=
OUT ?= build/mini

export PYTHON
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help up venv venv-dev install test test-fast lint format docs lock virt image-mini clean

help:  ## list what can be made
	@echo "Kilonova: a compute cloud whose state you can always see."
	@echo
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | while IFS="$$(printf '\t')" read -r name text; do \
		printf '  make %-12s %s\n' "$$name" "$$text"; done
	@echo
	@echo "Variables: DRIVER=auto|qemu|libvirt|simulated  STATE_DIR=directory  PORT=number  PYTHON=python3  UP_ARGS="--simulate-hosts 3"  (make up)  OUT=directory  (make image-mini)"

up: venv  ## start a cloud on this machine: one process, real virtual machines
	@sh scripts/ensure_qemu.sh "$(or $(DRIVER),auto)"
	@sh scripts/ensure_novnc.sh "$(or $(DRIVER),auto)"
	@exec $(BIN)/kilonova up $(if $(DRIVER),--driver "$(DRIVER)") \
		$(if $(STATE_DIR),--state-dir "$(STATE_DIR)") $(if $(PORT),--port "$(PORT)") $(UP_ARGS)

venv:  ## make .venv with what `make up` needs
	@sh scripts/environment.sh runtime

venv-dev:  ## make .venv with the tools and the real clients that the tests need
	@sh scripts/environment.sh dev

install: venv  ## the same as venv

test: venv-dev  ## everything that CI runs: format, lint, types, layers, generated pages, all tests
	@sh scripts/check.sh
	@echo "== pytest"
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest -n 2 --dist loadfile $(PYTEST_ARGS)

test-fast: venv-dev  ## the unit and the plane tests, a minute or two
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest -n 2 -q -m "not slow" \
		$(wildcard tests/unit tests/plane) $(PYTEST_ARGS)

lint: venv-dev  ## the checks without the tests
	@sh scripts/check.sh

format: venv-dev  ## format the code and repair what can be repaired
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

docs: venv-dev  ## write the generated reference pages anew
	@$(BIN)/python -m scripts.generate_docs

lock: venv-dev  ## choose the newest versions and write requirements/*.txt anew
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh scripts/lock.sh

virt: venv  ## install and start libvirt, for the driver of that name
	@sh scripts/ensure_virt.sh

image-mini: venv  ## build the small Linux guest image
	@$(BIN)/python -m kilonova.images.guests.mini --out $(OUT)

clean:  ## remove the environment and the tools' caches
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
