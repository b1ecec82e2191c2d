# Two commands do everything on a fresh machine with Python >= 3.11: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
RUN ?= runs/conte2021_missing_sequence/demo

.PHONY: demo test check setup clean

demo: $(STAMP)  ## the main job on the embedded cohort; ends with the path of the report
	@test -f cohorts/brain/cohort.csv || $(BIN)/radloom data phantom brain --subjects 64 --seed 27 --out cohorts/brain
	$(BIN)/radloom run conte2021_missing_sequence --data cohorts/brain --out $(RUN) --resume

test: $(STAMP)  ## the tests, a process on every core
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist loadfile

check: $(STAMP)  ## format, lint, types, import layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

setup: $(STAMP)

# torch comes first and by itself: on Linux the CPU build is enough, and a GPU machine may have its own already
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("radloom needs Python 3.11 or newer; set PYTHON=python3.11") if sys.version_info < (3, 11) else None'
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $(STAMP)

clean:
	rm -rf $(VENV) cohorts runs
