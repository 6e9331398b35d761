# make train   sets up .venv and runs the main job        make train CONFIG=configs/... ARGS="--amp"
# make test    sets up .venv and passes the tests
# Nothing outside this folder is changed but uv's cache of downloads.

CONFIG ?= configs/yolo/yolov8_n_shapes.py
ARGS ?=
PYTHON ?= python3
IMAGES ?= 2000

VENV := .venv
READY := $(VENV)/.ready
SHAPES := data/shapes/meta.json
RUN := $(VENV)/bin/python
UV_HOME := .cache/uv-home

# A uv on the path is used as it is; otherwise one is put into a private folder.
UV := $(shell command -v uv 2>/dev/null)
ifeq ($(UV),)
UV := $(UV_HOME)/bin/uv
UV_NEEDED := $(UV)
endif

export UV_PROJECT_ENVIRONMENT := $(VENV)
export UV_PYTHON_INSTALL_DIR := .cache/python
unexport VIRTUAL_ENV PYTHONHOME

.PHONY: setup train test slow lint bench clean
.DEFAULT_GOAL := setup

setup: $(READY)

$(UV_HOME)/bin/uv:
	$(PYTHON) -m venv $(UV_HOME)
	$(UV_HOME)/bin/python -m pip install --quiet --disable-pip-version-check uv

# --inexact: what somebody adds to .venv by hand (an extra, say) stays.
$(READY): pyproject.toml $(wildcard packages/*/pyproject.toml) | $(UV_NEEDED)
	$(UV) sync --inexact --quiet
	@touch $@

$(SHAPES): tools/make_shapes.py | $(READY)
	$(RUN) tools/make_shapes.py data/shapes --images $(IMAGES) --seed 0

train: $(READY) $(SHAPES)
	$(RUN) tools/train.py $(CONFIG) $(ARGS)

test: $(READY)
	$(RUN) -m pytest -m "not slow" $(ARGS)

slow: $(READY)
	$(RUN) -m pytest -m slow $(ARGS)

lint: $(READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

bench: $(READY)
	@set -e; for program in $(wildcard benchmarks/*.py); do echo "== $$program"; $(RUN) $$program $(ARGS); done

clean:
	rm -rf $(VENV) .cache/uv-home .cache/python data/shapes work_dirs dist build .pytest_cache .mypy_cache .ruff_cache \
	  .hypothesis .import_linter_cache
