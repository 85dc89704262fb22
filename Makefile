# make demo · make test · make mutants · make bench · make lab · make lint · make lock
# Each sets up .venv itself when it is missing or older than the pins.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# What is measured against is not part of the project, and has an environment of its own.
BENCH := .venv-bench
BENCH_READY := $(BENCH)/.ready
JOBS ?= 2
BENCHFLAGS ?= --readme benchmarks/README.md

# The lock is complete, and pip need not ask whether there is a newer pip.
export PIP_DISABLE_PIP_VERSION_CHECK := 1

define require_python
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	{ echo '$(PYTHON) is not Python 3.11 or newer; name one that is: make PYTHON=python3.11' >&2; \
	exit 2; }
endef

.PHONY: demo test mutants bench lab lint lock clean

demo: $(READY)
	$(BIN)/autograder demo

test: lint
	$(BIN)/python -m pytest -n $(JOBS)

# Minutes, not seconds: thousands of changed solutions, each graded.
mutants: $(READY)
	$(BIN)/autograder validate --mutants

# Some 30 minutes on a machine with nothing else to do. make bench BENCHFLAGS=--quick is a trial.
bench: $(READY) $(BENCH_READY)
	$(BIN)/python -m benchmarks.run $(BENCHFLAGS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

lab: $(READY)
	$(BIN)/jupyter lab --notebook-dir=notebooks

# New pins: edit pyproject.toml, then run this. The lock holds everything that pip installed, and is
# written only when all of that went well.
lock:
	$(require_python)
	rm -rf .lock-venv && $(PYTHON) -m venv .lock-venv
	.lock-venv/bin/pip install --quiet ".[test]"
	.lock-venv/bin/pip freeze --all --exclude pip --exclude autograder > .lock-venv/frozen
	sed 's/+.*//' .lock-venv/frozen > requirements.lock
	rm -rf .lock-venv build

# --no-build-isolation: setuptools is in the lock, so nothing beyond the lock is fetched.
$(READY): pyproject.toml requirements.lock
	$(require_python)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet -r requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	touch $(READY)

$(BENCH_READY): benchmarks/requirements.txt
	$(require_python)
	$(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/pip install --quiet -r benchmarks/requirements.txt
	touch $(BENCH_READY)

clean:
	rm -rf $(VENV) $(BENCH) demo
