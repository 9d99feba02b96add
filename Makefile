PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test bench check soak format documents clean

demo: $(READY)
	$(BIN)/layby demo

# `layby` is compiled once and not at each of its starts, whatever the surroundings say.
test: export PYTHONDONTWRITEBYTECODE :=
test: $(READY)
	$(BIN)/pytest -n 4 --dist worksteal -m "not soak"

soak: $(READY)
	timeout --signal=INT --kill-after=60 1800 $(BIN)/pytest -m soak --durations=0

bench: $(READY)
	$(BIN)/python -m benchmarks $(ONLY) $(if $(QUICK),--quick)
	$(BIN)/python -m benchmarks.document

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m ops.documents --check
	$(BIN)/python -m benchmarks.document --check

documents: $(READY)
	$(BIN)/python -m ops.documents
	$(BIN)/python -m benchmarks.document

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Layby needs Python 3.11 or newer: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info build
