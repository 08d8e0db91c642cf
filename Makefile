# Everything one does with a checkout. `make help` lists it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST_ARGS ?=
FAULTS_ARGS ?=
# Processes that share the tests, which wait more than they work; 0: all in one.
WORKERS ?= 4

# An opencode of the user's own goes before the one that was fetched for the checkout.
export PATH := $(PATH):$(CURDIR)/.tools/bin
# The tests start ocattach thousands of times: its modules are compiled once.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help demo venv zipapp test-tools test test-quick check format man pictures bench faults clean distclean

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

demo: $(VENV)/.runtime ## Attach to an OpenCode daemon on this machine, with nothing installed before
	@scripts/install-opencode
	@$(BIN)/python scripts/demo.py

venv: $(VENV)/.development ## Make .venv, with ocattach and what its development needs

zipapp: $(VENV)/.development ## Make dist/ocattach.pyz: one file, for each supported Python on machines like this
	$(BIN)/python -m scripts.make_zipapp dist/ocattach.pyz

test-tools: ## Install what the tests run against: engines, sshd, tmux, OpenCode
	@scripts/install-test-tools

test: test-tools ## Run all tests (PYTEST_ARGS="-k relay" for some); what is absent is skipped, with the reason
	@$(MAKE) --no-print-directory $(VENV)/.development
	$(BIN)/python -m pytest -n $(WORKERS) $(PYTEST_ARGS)

test-quick: $(VENV)/.development ## Run the tests that need nothing besides .venv: no root, no engine, no OpenCode
	$(BIN)/python -m pytest -n $(WORKERS) -m quick --hypothesis-profile=quick $(PYTEST_ARGS)

check: $(VENV)/.development ## Lint, format, types, layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.development ## Format, and mend what can be mended
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

man: $(VENV)/.development ## Write docs/ocattach.1, the manual page, from what --help knows
	$(BIN)/python scripts/man_page.py >docs/ocattach.1.new
	@mv docs/ocattach.1.new docs/ocattach.1

pictures: test-tools ## Draw docs/pictures from a real run on real engines
	@$(MAKE) --no-print-directory $(VENV)/.development
	$(BIN)/python -m tests.docs.pictures

bench: $(VENV)/.development ## Measure against the same work by hand, side by side
	@scripts/install-opencode
	@$(BIN)/python -m benchmarks

faults: test-tools ## Induce faults on real engines, for long, and count what became of prompts (FAULTS_ARGS="--scheme ssh")
	@$(MAKE) --no-print-directory $(VENV)/.development
	$(BIN)/python -m tests.faults $(FAULTS_ARGS)

clean: ## Remove caches and build products
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -not -path './.venv/*' -not -path './.tools/*' -prune -exec rm -rf {} +

distclean: clean ## Remove .venv and .tools, too
	rm -rf $(VENV) .tools

$(VENV)/.runtime: pyproject.toml uv.lock scripts/make-venv scripts/locked_requirements.py
	@PYTHON="$(PYTHON)" scripts/make-venv $(VENV)
	@touch $@

$(VENV)/.development: pyproject.toml uv.lock scripts/make-venv scripts/locked_requirements.py
	@PYTHON="$(PYTHON)" scripts/make-venv $(VENV) dev
	@touch $@ $(VENV)/.runtime
