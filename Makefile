PYTHON ?= python3
BIN := .venv/bin
PHOTO ?=
PRESET ?= oil

.PHONY: install demo test test-slow test-long bench lint format styles docs

install: .venv/.installed

.venv/.installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Stylefolder needs Python 3.11 or newer: make PYTHON=python3.12 ...")'
	@echo "Installing into .venv, including PyTorch. This takes some minutes and up to 6 GB."
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

demo: install
	$(BIN)/stylefolder demo --preset "$(PRESET)" $(if $(PHOTO),"$(PHOTO)")
	@echo "To paint your own photos, run $(BIN)/stylefolder watch"

test: install
	$(BIN)/python -m pytest -n 2 --dist worksteal --cov

test-slow: install
	$(BIN)/python -m pytest -n 3 --dist worksteal -m slow

test-long: install
	$(BIN)/python -m pytest -m long --timeout 0

bench: install
	$(BIN)/python -m tests.bench.engine
	$(BIN)/python -m tests.bench.looks
	$(BIN)/python -m tests.bench.daemon
	$(BIN)/python -m tests.bench.cluster

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: install
	$(BIN)/python docs/make_pictures.py
	$(BIN)/python docs/make_looks.py

styles: install
	$(BIN)/python -m presets.paint
