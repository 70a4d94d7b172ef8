# Each target makes .venv and installs requirements.lock by itself; PYTHON may name another Python.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
CORES ?= 2
# snakefmt calls shfmt, which its wheel puts beside it, by name.
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: demo test test-slow check docs format lock clean

demo: $(INSTALLED)  ## score the embedded genome and cohorts; the outputs are in results/
	$(BIN)/snakemake --cores $(CORES) --workflow-profile profiles/default
	@$(BIN)/python resources/demo/show.py results

test: $(INSTALLED)  ## the fast tests
	$(BIN)/pytest --numprocesses $(CORES) --dist worksteal -m "not slow"

# One process more than cores: those of Slurm, kills and browsers wait most of the time.
test-slow: $(INSTALLED)  ## the slow ones, and drawn inputs in greater number
	$(BIN)/pytest --numprocesses $$(($(CORES) + 1)) --dist loadfile --no-loadscope-reorder -m "slow or drawn" --hypothesis-profile thorough

check: $(INSTALLED)  ## format, lint, types, workflow lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/snakemake --lint
	$(BIN)/python docs/generate.py --check

docs: $(INSTALLED)  ## the documentation as a site, in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile rules

lock:  ## pin what requirements.in asks for
	rm -rf .venv-lock
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/pip install --quiet -r requirements.in
	.venv-lock/bin/pip freeze | sed 's/+cpu$$//' > requirements.lock
	rm -rf .venv-lock

$(INSTALLED): requirements.lock
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), f"varlm needs Python 3.11 or newer, this is {sys.version}"'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.lock
	printf '#!/bin/sh\nexec "%s" "%s" "$$@"\n' '$(CURDIR)/$(BIN)/python' '$(CURDIR)/workflow_scripts' > $(BIN)/varlm
	chmod +x $(BIN)/varlm
	touch $(INSTALLED)

clean:
	rm -rf results store .snakemake site
