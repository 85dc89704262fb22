# make demo · make test · make lab · make lint · make lock
# Each sets up .venv itself when it is missing or older than the pins.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
JOBS ?= 2

.PHONY: demo test lab lint lock clean

demo: $(READY)
	$(BIN)/autograder demo

test: lint
	$(BIN)/python -m pytest -n $(JOBS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

lab: $(READY)
	$(BIN)/jupyter lab --notebook-dir=notebooks

# New pins: edit pyproject.toml, then run this. The lock holds everything that pip installed.
lock:
	rm -rf .lock-venv && $(PYTHON) -m venv .lock-venv
	.lock-venv/bin/pip install --quiet ".[test]"
	.lock-venv/bin/pip uninstall --quiet --yes autograder
	.lock-venv/bin/pip freeze --all --exclude pip | sed 's/+cpu$$//' > requirements.lock
	rm -rf .lock-venv build

$(READY): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'Python 3.11 or newer is needed; name one: make PYTHON=python3.11'; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet -r requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	touch $(READY)

clean:
	rm -rf $(VENV) demo
