# elbowroom: `make demo` is the main job, `make test` the quick tests; both make the environment they need.
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
LOWEST ?= .venv-lowest
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: demo test test-all test-lowest lint house bench notebooks docs clean help

help:  ## what each target does
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# Two stamps: the demo needs only the runtime packages, everything else the development ones.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "elbowroom needs Python >= 3.11; '$(PYTHON)' is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
	  || { echo "python -m venv failed (on Debian and Ubuntu: apt install python3-venv)"; rm -rf $(VENV); exit 1; }

$(VENV)/.runtime: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing elbowroom and its pinned dependencies into $(VENV) ..."
	@$(PIP) install --quiet --constraint constraints.txt torch || { echo "Installing torch failed (see above)."; exit 1; }
	@$(PIP) install --quiet --constraint constraints.txt --editable . || { echo "Installing elbowroom failed (see above)."; exit 1; }
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime
	@echo "Installing the development tools into $(VENV) ..."
	@$(PIP) install --quiet --constraint constraints.txt --editable '.[dev]' || { echo "Installing the development tools failed (see above)."; exit 1; }
	@touch $@

demo: $(VENV)/.runtime  ## the main job on the embedded digits: train, evidence, VI against MCMC
	@$(BIN)/elbowroom demo

# A worker for each processor, of one thread each: more threads than processors only wait for each other.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n logical --dist worksteal

test: $(VENV)/.dev  ## the quick tests (six minutes on 2 cores)
	@$(PYTEST)

test-all: $(VENV)/.dev  ## every test, the slow statistical ones and the notebooks included
	@$(PYTEST) -m 'slow or not slow'

# An old library beside a new one that it does not know warns of what it uses there: deprecations are no errors here.
test-lowest: $(LOWEST)/.lowest  ## the quick tests on the lowest versions that pyproject.toml admits, in .venv-lowest
	@$(subst $(BIN),$(LOWEST)/bin,$(PYTEST)) -W ignore::DeprecationWarning

$(LOWEST)/.lowest: pyproject.toml tests/lowest.py
	@$(MAKE) --no-print-directory VENV=$(LOWEST) $(LOWEST)/bin/python
	@echo "Installing the lowest versions into $(LOWEST); torch's wheel for this system may be several GB ..."
	@$(LOWEST)/bin/python -m pip --disable-pip-version-check install --quiet packaging
	@$(LOWEST)/bin/python tests/lowest.py || { echo "Installing the lowest versions failed (see above)."; exit 1; }
	@touch $@

lint: $(VENV)/.dev  ## ruff (check and format), mypy, import-linter, and that the house is as docs/house.md says
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@PYTHONPATH=typings $(BIN)/lint-imports
	@$(BIN)/python docs/house.py --check

house: $(VENV)/.dev  ## draw the picture of the house from its imports
	@$(BIN)/python docs/house.py

bench: $(VENV)/.dev  ## the benchmarks (half an hour), written into benchmarks/RESULTS.md; QUICK=1: minutes, nothing written
	@$(BIN)/python -m benchmarks $(if $(QUICK),--quick)

notebooks: $(VENV)/.dev  ## execute the notebooks, keep their figures, say which claims changed
	@$(BIN)/python notebooks/execute.py

# What was executed is kept in docs/_build/executed until it, or the code of the package, is another.
docs: $(VENV)/.dev  ## the site, into docs/_build/html; what it shows is executed once (a quarter of an hour), QUICK=1: no notebooks
	@rm -rf docs/_build/html && mkdir -p docs/_build/beside
	@QUICK=$(QUICK) $(BIN)/python -m sphinx --builder html --fail-on-warning --keep-going --jobs auto --quiet \
	  --doctree-dir docs/_build/doctrees docs docs/_build/html
	@echo "docs/_build/html/index.html"

clean:  ## remove the environment, caches and outputs
	rm -rf $(VENV) $(LOWEST) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache demo-output notebooks/output \
	  docs/_build docs/gallery docs/reference docs/{benchmarks,changelog,contributing,glossary,security}.md
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
