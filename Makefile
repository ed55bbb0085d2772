# Every target sets up what it needs: Python 3.11 or newer and make are enough to start.

PYTHON  ?= python3
WORKERS ?= 2
SCHEDULES ?= 10000
SEED    ?= 1
VENDOR  ?= toy
BIN     := .venv/bin
READY   := .venv/.ready
ROOMS   := $(wildcard core connectors sync webhooks intelligence agents api sandbox simulation cli)

.DEFAULT_GOAL := help
.PHONY: help .venv demo test simulate check bench docs fmt lock clean

help: ## show this help
	@echo "Turnbuckle"
	@echo
	@sed -n 's/^\([a-z.]*\):.*## \(.*\)$$/  make \1\t\2/p' Makefile | expand -t 16
	@echo
	@echo "  make demo FOR=30 runs for 30 seconds; ALL=1 adds every vendor."
	@echo "  make test ARGS='-k jira' passes arguments to pytest; WORKERS=0 runs in one process."
	@echo "  PYTHON=/path/to/python3 chooses the interpreter .venv is made from."

.venv: $(READY) ## install into .venv (the other targets do it when needed)

$(READY): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null 2>&1 || { \
	  echo "Turnbuckle needs Python 3.11 or newer and there is no '$(PYTHON)' here. Install one, or name it: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Turnbuckle needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) -V 2>&1). Name a newer one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@# A .venv whose interpreter is gone or too old is made anew; any other is brought up to date.
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "making .venv with $$($(PYTHON) -V 2>&1)"; $(PYTHON) -m venv --clear .venv; }
	@echo "installing the locked dependencies (once; about a minute)"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --only-binary :all: -r requirements.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(READY) ## run the whole thing against fake vendors (FOR=seconds, ALL=1)
	@$(BIN)/turnbuckle demo $(if $(FOR),--for $(FOR)) $(if $(ALL),--all)

# Files stay together, so that a module's database and processes are set up once.
test: $(READY) ## run every test, on SQLite and on a real PostgreSQL and Redis
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(ARGS)

simulate: $(READY) ## play many schedules of edits and failures (SCHEDULES, SEED, VENDOR)
	@$(BIN)/turnbuckle simulate --schedules $(SCHEDULES) --seed $(SEED) --vendor $(VENDOR) $(ARGS)

check: $(READY) ## lint, formatting, types and the import rules
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy $(ROOMS) $(wildcard tests/services) examples/plank/turnbuckle_plank
	@$(BIN)/lint-imports

bench: $(READY) ## measure the hot paths side by side (ARGS=pull, ARGS=code, ARGS=front_door)
	@$(BIN)/python -m benchmarks $(ARGS)

docs: $(READY) ## write docs/reference anew from the docstrings
	@$(BIN)/python -m tools.reference

fmt: $(READY) ## fix what lint and formatting can fix by themselves
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

# The lock holds for every supported Python and platform (--universal) and names no registry.
lock: $(READY) ## resolve requirements.lock anew from pyproject.toml (ARGS='--upgrade')
	@$(BIN)/python -m pip install -q --disable-pip-version-check uv
	@$(BIN)/uv pip compile pyproject.toml --extra dev --universal --no-header --no-annotate -q -o requirements.lock $(ARGS)

clean: ## remove .venv, caches and build leftovers
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
