# All set-up happens in .venv, by itself, and again only when pyproject.toml changes.
# The interpreter that .venv is made with: make test PYTHON=python3.12
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

help:  ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "make %-10s %s\n", $$1, $$2}'

demo: $(INSTALLED)  ## Train one network, prune it to many sizes, compare: results in demo-output/
	$(BIN)/prunnet demo

# Small tensors: one thread is as fast as several, and on a busy machine much faster.
test test-slow test-gpu: export OMP_NUM_THREADS ?= 1

test: $(INSTALLED)  ## Run the tests (only some: make test ARGS="tests/test_masks.py -x")
	$(BIN)/pytest -n 2 --dist loadfile $(ARGS)

test-slow: $(INSTALLED)  ## Run the tests that take minutes
	$(BIN)/pytest -m slow $(ARGS)

test-gpu: $(INSTALLED)  ## Run the tests that need a GPU
	$(BIN)/pytest -m gpu $(ARGS)

# mypy does not follow the hooks of an editable install, so it reads a plain one. setuptools would
# ship what an old build/ still holds: hence a fresh one.
lint: $(INSTALLED)  ## Check style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@rm -rf build
	@$(PIP) install --no-deps --no-build-isolation --target build/typed .
	cd build/typed && ../../$(BIN)/mypy --config-file ../../pyproject.toml --cache-dir ../../.mypy_cache -p prunnet_pml

format: $(INSTALLED)  ## Rewrite the code in the house format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
		echo "prunnet_pml needs Python 3.10 or newer. $(PYTHON) is: $$($(PYTHON) --version 2>&1)."; \
		echo "Name one that is: make $(or $(firstword $(MAKECMDGOALS)),test) PYTHON=python3.12"; \
		exit 1; }
	@echo "Installing into .venv: some minutes and GB the first time (progress: .venv/install.log)"
	@$(PYTHON) -m venv .venv
	@PYTHONWARNINGS=ignore $(PIP) install --log .venv/install.log --editable ".[dev]"
	@touch $@

.PHONY: help demo test test-slow test-gpu lint format
