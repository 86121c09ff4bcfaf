# Everything goes through .venv, which every target that needs it makes by itself.
# Needed beforehand: python3 (3.11 or newer) with venv, and make.

PYTHON    ?= python3
VENV      := .venv
BIN       := $(VENV)/bin
STAMP     := $(VENV)/made-from-lock
DEV_STAMP := $(VENV)/made-for-tests
PIP       := $(BIN)/python -m pip --disable-pip-version-check --no-input
PIP_TOOLS := 7.6.2
ARGS      ?=
MINUTES   ?= 2
JOBS      ?= 3
SEED      ?=

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help venv demo demo-web postgresql check lint test bench sim mutants chaos agents compat pythons aarch64 watchdog docs lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: $(DEV_STAMP) ## .venv from the lock files, for the tests; the others make it too

demo: $(STAMP) ## a cluster of three nodes here, one is killed, its groups move (ARGS=--json)
	$(BIN)/mosha demo $(ARGS)

demo-web: $(DEV_STAMP) ## root: nginx and a floating address, how long it is gone each time (ARGS=--json)
	$(BIN)/python -m tests.web $(ARGS)

postgresql: $(DEV_STAMP) ## root: PostgreSQL on a volume of three nodes, killed, hung, moved (ARGS='--failovers 20')
	$(BIN)/python -m tests.postgresql $(ARGS)

check: lint test ## what CI runs: ruff, mypy and all tests

lint: $(DEV_STAMP) ## ruff and mypy alone
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Most tests wait for real processes: three at a time keep two cores busy. What fails is run once
# more, alone: a process that got no CPU for seconds proves nothing, one that fails twice does.
# What chance decides is the same in every run of a commit (MOSHA_SIM_FIRST=N: other worlds, examples
# and order). What passes then is listed, and more
# than three such tests fail the run (tests/flakes.py, which names what failed).
# What each worker would compile for itself, and each of some hundred processes, is kept.
test: $(DEV_STAMP) ## the tests alone, in an order of their commit (ARGS='-k lease -x')
	export PYTHONDONTWRITEBYTECODE= && \
	export MOSHA_FAILED=$$(mktemp) && trap 'rm -f "$$MOSHA_FAILED"' EXIT && \
	$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup $(ARGS) || { [ $$? -eq 1 ] && \
	    MOSHA_FAILED_BEFORE=1 $(BIN)/python -m pytest -n 1 --dist loadgroup "@$$MOSHA_FAILED"; }

bench: $(DEV_STAMP) ## latencies, CPU and memory beside a floor measured in the same run
	$(BIN)/python -m tests.bench $(ARGS)

sim: $(DEV_STAMP) ## whole clusters in virtual time, seeded, with faults (ARGS='--seeds 2000')
	$(BIN)/python -m tests.sim $(ARGS)

# With names in ARGS: of the mutants of the core, alone.
mutants: $(DEV_STAMP) ## breaks one rule after the other, in the core and in the shell: what notices it
	$(BIN)/python -m tests.sim.mutants $(ARGS)
	$(if $(ARGS),,$(BIN)/python -m tests.mutants)

chaos: $(DEV_STAMP) ## faults against real processes, then a verdict (MINUTES=10 SEED=7 ARGS=--no-cgroups; root: more faults)
	$(BIN)/python -m tests.chaos --minutes $(MINUTES) $(if $(SEED),--seed $(SEED)) $(ARGS)

agents: $(DEV_STAMP) ## root: resource agents of Debian for real, each killed, hung, not stopped (ARGS='-k mysql')
	MOSHA_ALL_AGENTS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadgroup -rs \
	    tests/ocf/test_real_agents.py tests/ocf/test_real_lives.py $(ARGS)

compat: $(DEV_STAMP) ## nodes of an earlier commit and of this one in one cluster for a minute (BEFORE=COMMIT ARGS='--seconds 300')
	$(BIN)/python -m tests.compat --before $(BEFORE) $(ARGS)

pythons: $(DEV_STAMP) ## the quick part of the tests with each Python from 3.11 to 3.14 that is found
	$(BIN)/python -m tests.portability.pythons $(ARGS)

aarch64: $(DEV_STAMP) ## clinit on an emulated aarch64 machine (Debian: qemu-system-arm, cpio)
	$(BIN)/python -m tests.portability.aarch64

watchdog: $(DEV_STAMP) ## clinit with the watchdogs of emulated machines (Debian: qemu-system-x86, cpio)
	$(BIN)/python -m tests.portability.watchdog

docs: $(DEV_STAMP) ## the manual as a site (build/site) and as man pages (build/man)
	rm -rf build/site build/man
	$(BIN)/python -m tests.docs_man build/man
	$(BIN)/python -m sphinx -W --keep-going -q -E -d build/doctrees -b html docs build/site
	@echo "build/site/index.html"

# A venv of its own, so that .venv holds nothing that is not locked. The two --no-emit options
# and the custom command keep the addresses and paths of the machine at hand out of the files.
# What mosha itself needs is locked apart from what its tests need, to the same versions.
lock: ## both lock files anew from pyproject.toml (ARGS=--upgrade for the newest versions)
	dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && \
	$(PYTHON) -m venv "$$dir/venv" && \
	"$$dir/venv/bin/python" -m pip --disable-pip-version-check install --quiet pip-tools==$(PIP_TOOLS) && \
	compile() { CUSTOM_COMPILE_COMMAND='make lock' "$$dir/venv/bin/pip-compile" --quiet \
	    --build-deps-for editable --allow-unsafe --strip-extras --generate-hashes \
	    --no-emit-index-url --no-emit-trusted-host --no-emit-find-links $(ARGS) "$$@"; } && \
	compile --output-file requirements.lock pyproject.toml && \
	compile --extra dev --constraint requirements.lock --output-file requirements-dev.lock pyproject.toml

clean: ## remove .venv and everything else that can be made again
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find mosha tests -name __pycache__ -type d -prune -exec rm -rf {} +

# Anew when the locked versions or our own metadata change; --clear, so that nothing of
# a former lock stays in it. The stamp comes last: a half-made .venv is made again. compileall
# does what pip does for a package that is not editable: else each process of a first demo, or
# every process where Python must not write bytecode, would compile all of mosha for itself.
# In its compat mode setuptools leaves one line with this path, else a finder that every process
# has to import before anything else.
$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "mosha needs Python 3.11 or newer: make PYTHON=python3.11 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || \
	    { echo "the venv module is missing; on Debian: apt install python3-venv" >&2; exit 1; }
	@echo "installing what mosha needs into $(VENV), from requirements.lock; this once, some ten seconds"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(PIP) install --quiet --require-hashes --requirement requirements.lock
	@$(PIP) install --quiet --no-deps --no-build-isolation \
	    --config-settings editable_mode=compat --editable .
	@$(BIN)/python -m compileall -q mosha
	@touch $@

# A demo needs none of this: who wants to see one does not wait for a type checker.
$(DEV_STAMP): $(STAMP) requirements-dev.lock
	@echo "installing what the tests need too, from requirements-dev.lock; this once"
	@$(PIP) install --quiet --require-hashes --requirement requirements-dev.lock
	@touch $@
