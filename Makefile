# make demo, test, lint, bench, test-gpu, clean. Each sets up what it needs in .venv, once.
# Needs Python 3.10 or newer, a C++ compiler and make.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
# make TORCH=torch takes the newest, which is a CUDA build on Linux
TORCH ?= torch==2.13.0
VENV ?= .venv
OUT ?= runs

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet
CSRC := $(wildcard csrc/*.h csrc/*/*)
TEST_CSRC := $(wildcard python_tests/*.cu python_tests/*/*.cpp)
SOURCES := $(CSRC) setup.py pyproject.toml $(wildcard build_tools/*.py)

.PHONY: demo test lint bench test-gpu clean
.DELETE_ON_ERROR:

# torch first and alone: the extension is compiled against the torch that will load it
$(VENV)/torch.stamp:
	$(PYTHON) -c "import sys; sys.version_info >= (3, 10) or exit('Python 3.10 or newer is needed')"
	$(PYTHON) -m venv $(VENV)
	$(PIP) "$(TORCH)" "setuptools>=77" ninja
	touch $@

$(VENV)/app.stamp: $(VENV)/torch.stamp $(SOURCES)
	$(PIP) --no-build-isolation --editable ".[app]"
	touch $@

$(VENV)/dev.stamp: $(VENV)/torch.stamp $(SOURCES)
	$(PIP) --no-build-isolation --editable ".[dev]"
	touch $@ $(VENV)/app.stamp

demo: $(VENV)/app.stamp
	$(BIN)/dinfgrid solve poisson-image --out $(OUT)/camera

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run -Werror $(CSRC) $(TEST_CSRC)
	$(BIN)/mypy

test: lint
	$(BIN)/python -m pytest

test-gpu: $(VENV)/dev.stamp
	$(BIN)/python -c "import torch; torch.cuda.is_available() or exit('PyTorch sees no GPU')"
	$(BIN)/python -m pytest -m gpu

bench: $(VENV)/app.stamp
	$(BIN)/python -m bench.step

clean:
	rm -rf $(VENV) .venv-cuda build dist *.egg-info dinfgrid_cuda/_C.*.so dinfgrid_cuda/_build.json
