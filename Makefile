PYTHON ?= python3
BIN := .venv/bin
PHOTO ?=
PRESET ?= oil

.PHONY: install demo test test-slow bench lint styles docs

install: .venv/.installed

.venv/.installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "stylefolder needs Python 3.11 or newer: make PYTHON=python3.12 ...")'
	@echo "Installing into .venv, torch among it: some minutes, up to 6 GB."
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

demo: install
	$(BIN)/stylefolder demo --preset "$(PRESET)" $(if $(PHOTO),"$(PHOTO)")
	@echo "Your own photos: $(BIN)/stylefolder watch"

test: install
	$(BIN)/python -m pytest -n 2 --dist worksteal

test-slow: install
	$(BIN)/python -m pytest -n 2 --dist worksteal -m slow

bench: install
	$(BIN)/python -m tests.bench.engine
	$(BIN)/python -m tests.bench.daemon

lint: install
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: install
	$(BIN)/python docs/make_pictures.py

styles: install
	$(BIN)/python -m presets.paint
