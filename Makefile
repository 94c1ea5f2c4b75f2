# Every target is complete from a fresh clone: it makes .venv, installs what it needs and runs.
# make demo PYTHON=python3.12 takes another interpreter.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
OUT ?= demo-output
TESTS ?= tests
PYTEST_ARGS ?=

BIN := $(VENV)/bin
SOURCES := setup.py $(shell find src \( -name '*.pyx' -o -name '*.pxd' -o -name '*.h' -o -name 'csrc/*.c' \)) \
           $(wildcard src/fasttrain/_kernels/csrc/*.c)
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

# The install compiles; nothing may compile beside it.
.NOTPARALLEL:
.PHONY: demo test test-exhaustive bench lint clean

demo: $(VENV)/.demo $(VENV)/.built
	$(BIN)/fasttrain demo --out $(OUT)

test: $(VENV)/.dev $(VENV)/.built
	$(BIN)/python -m pytest $(TESTS) -q -m "not exhaustive" $(PYTEST_ARGS)

test-exhaustive: $(VENV)/.dev $(VENV)/.built
	$(BIN)/python -m pytest $(TESTS) -q $(PYTEST_ARGS)

bench: $(VENV)/.bench $(VENV)/.built
	$(BIN)/python -m pytest benchmarks -q --benchmark-only $(PYTEST_ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	PATH="$(abspath $(BIN)):$$PATH" cython-lint src   # it looks for pycodestyle on the path

clean:
	rm -rf $(VENV) build dist src/*.egg-info .pytest_cache .ruff_cache .hypothesis .benchmarks $(OUT)
	find src \( -name '*.so' -o -name '*.html' \) -delete
	rm -f $(patsubst %.pyx,%.c,$(wildcard src/fasttrain/_kernels/*.pyx))

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "no python3 found: set PYTHON" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	    { echo "$(PYTHON) is too old: Python >= 3.10 is needed, set PYTHON" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) install 'setuptools>=77' 'Cython>=3.1'

# Editable, so that Python files need no second install. Without build isolation, so that .built, which recompiles
# what changes later, finds the files of the same Cython and has nothing to do now.
$(VENV)/.demo $(VENV)/.dev $(VENV)/.bench: $(VENV)/.%: pyproject.toml | $(BIN)/python
	$(PIP) install --no-build-isolation --editable '.[$*]'
	@touch $@ $(VENV)/.built

$(VENV)/.built: $(SOURCES) | $(BIN)/python
	$(BIN)/python setup.py -q build_ext --inplace
	@touch $@
