# Everything runs in .venv, made on first use from constraints.txt. Needs Python 3.11 or later with pip and venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PLAIN := "not slow and not gpu and not faults"
export RAY_USAGE_STATS_ENABLED = 0
# Hundreds of processes import the same modules: bytecode is kept, also where the environment says otherwise.
export PYTHONDONTWRITEBYTECODE =

.PHONY: help install demo demo-stop test test-slow lint check clean

help:
	@echo "make demo        the main job on this machine, on generated videos (4 to 8 minutes)"
	@echo "make demo DATA=F the same on your own videos, a folder in the UCF101 layout"
	@echo "make demo-stop   stop the embedded S3 server that the demo leaves running"
	@echo "make test        the test suite;  make test-slow: the long experiments"
	@echo "make check       lint, types, import contract"

# torch first and alone: any other way of asking for it downloads gigabytes of CUDA libraries
$(BIN)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=python3.11 ...")'
	@# Debian's python3 without python3-venv cannot put pip into a new environment; its pip can
	$(PYTHON) -m venv $(VENV) > /dev/null \
	  || { $(PYTHON) -m venv --clear --without-pip $(VENV) && $(PYTHON) -m pip --python $(BIN)/python install --quiet pip; } \
	  || { echo "no virtual environment could be made: apt-get install python3-venv python3-pip"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt --editable .[dev]
	@# on all cores, and without the packages' own tests; some hold files that this Python cannot read
	@$(BIN)/python -m compileall -qq -j 0 -x '/tests?/' $(VENV)/lib || true
	@touch $@

install: $(BIN)/.installed

demo: install
	@$(BIN)/python jobs/demo.py $(if $(DATA),--data "$(DATA)")

demo-stop: install
	@$(BIN)/python jobs/demo.py --stop

# One process a core and one more, since tests of jobs wait a lot. A file's tests stay together and so share its fixtures.
test: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $$(($$(nproc) + 1)) --dist loadfile --no-loadscope-reorder -m $(PLAIN) \
	  --durations 25

test-slow: install
	$(BIN)/python -m pytest -m "slow or faults"

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

check: lint
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV)
