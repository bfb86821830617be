# make demo and make test work on a fresh clone: they create .venv and install what they need.
PYTHON ?= python3
BIN := .venv/bin
SONG ?=

export PIP_CONSTRAINT := constraints.txt
export PIP_BUILD_CONSTRAINT := constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

.PHONY: help demo test lint format clean

help:
	@echo "make demo [SONG=path]  separate a real song, or yours, with the bundled model"
	@echo "make test              run the tests"
	@echo "make lint              ruff, pyright, pydoclint, import-linter"
	@echo "make format            let ruff rewrite what it can"
	@echo "make clean             remove .venv and caches"

demo: .venv/demo.stamp
	@$(BIN)/python -m soli.cli.demo $(if $(SONG),"$(SONG)")

test: .venv/dev.stamp
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --dist loadfile

lint: .venv/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/pydoclint --quiet src
	$(BIN)/lint-imports

format: .venv/dev.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv .pytest_cache .ruff_cache .import_linter_cache

$(BIN)/python:
	$(PYTHON) -m venv .venv

.venv/demo.stamp: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet -e '.[demo]'
	@touch $@

.venv/dev.stamp: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet -e '.[dev]'
	@touch $@ .venv/demo.stamp
