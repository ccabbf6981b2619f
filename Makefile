# dfd: `make demo` and `make test` work on a machine with Python 3.11 to 3.13, git and make, and nothing else.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
UV     := uv==0.13.8
STAMP  := $(VENV)/.installed
# uv brings certificates of its own; where the system has some, they are used, so that a company's own authority is known
export UV_SYSTEM_CERTS ?= $(if $(wildcard /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt),true,false)
QUIET  := PREFECT_SERVER_ANALYTICS_ENABLED=false DO_NOT_TRACK=1 RAY_USAGE_STATS_ENABLED=0
# pytest that hears Ctrl-C, which the shell makes processes in the background ignore
BESIDE := $(BIN)/python -c 'import signal, sys, pytest; signal.signal(signal.SIGINT, signal.default_int_handler); sys.exit(pytest.main(sys.argv[1:]))' -p no:cacheprovider

.PHONY: help env demo test lint type unit faults bench lock clean

help:  ## this list
	@awk -F':.*## ' '/^[a-z]+:.*## / {printf "  make %-6s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

env: $(STAMP)  ## the environment, from requirements.lock

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else f"dfd needs Python 3.11 to 3.13, {sys.executable} is {v[0]}.{v[1]}: make PYTHON=/path/to/python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(UV)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

demo: $(STAMP)  ## the whole way on simulated images: table, report, dashboard
	@$(QUIET) $(BIN)/dfd run

test: lint type unit  ## formatting, lint, import contracts, types and all tests

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports

type: $(STAMP)
	$(BIN)/mypy

# three rooms side by side, since engines mostly wait; the tests of cancelling have limits of seconds, so after other engines
unit: $(STAMP)
	@rm -f .unit-*.log; export $(QUIET) OMP_NUM_THREADS=1; trap 'echo "Stopping all parts"; wait; exit 130' INT; \
	( $(BESIDE) tests/tasks > .unit-tasks.log 2>&1 & tasks=$$!; \
	  $(BESIDE) tests/flows --ignore tests/flows/test_cancelling.py > .unit-flows.log 2>&1; flows=$$?; \
	  wait $$tasks; engines=$$?; \
	  if [ $$flows = 2 ] || [ $$engines = 2 ]; then exit 2; fi; \
	  $(BESIDE) tests/flows/test_cancelling.py > .unit-cancelling.log 2>&1; exit $$((flows + engines + $$?)) ) & beside=$$!; \
	echo "Beside these: tests/flows and tests/tasks. What they say comes afterwards, until then in .unit-*.log"; \
	$(BIN)/python -m pytest --ignore tests/tasks --ignore tests/flows; core=$$?; \
	wait $$beside; others=$$?; cat .unit-flows.log .unit-tasks.log .unit-cancelling.log; exit $$((core + others))

faults: $(STAMP)  ## twenty kills at random moments instead of three, ten losses of a node instead of four: ten minutes
	@$(QUIET) DFD_TEST_ROUNDS=20 $(BIN)/python -m pytest tests/tasks/test_faults.py tests/tasks/test_object_store.py

bench: $(STAMP)  ## speed against references, an hour on two cores; PARTS="bare fan_out" for some
	@$(QUIET) PYTHONPATH=. $(BIN)/python tests/benchmarks/bench.py $(PARTS)

lock: $(STAMP)  ## pin the newest versions that pyproject.toml admits
	$(BIN)/uv pip compile --quiet --universal --upgrade --no-header --no-annotate --python-version 3.11 \
		--all-extras pyproject.toml --output-file requirements.lock
	grep -vE '^(torch|torchvision|triton|nvidia-[a-z0-9-]+|cuda-[a-z0-9-]+)==' requirements.lock > constraints.txt

clean:  ## remove the environment and caches, never a store
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis *.egg-info
