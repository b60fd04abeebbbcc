# make demo, quick, test, test-sanitized, lint, bench, test-gpu, clean. Each sets up what it needs in
# .venv, once.
# Needs Python 3.10 or newer, a C++ compiler and make.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
# make TORCH=torch takes the newest, which is a CUDA build on Linux
TORCH ?= torch==2.13.0
VENV ?= .venv
OUT ?= runs

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet
CSRC := $(foreach level,csrc csrc/* csrc/*/*,$(wildcard $(level)/*.h $(level)/*.cuh $(level)/*.inl \
	$(level)/*.cpp $(level)/*.cu))
TEST_CSRC := $(wildcard python_tests/*.cu $(foreach kind,cpp cu h, \
	python_tests/*/*.$(kind) python_tests/*/*/*.$(kind) python_tests/*/*/*/*.$(kind)))
# a process takes about a gigabyte; the next test goes to the one that has nothing left to do
PYTEST := $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal
SOURCES := $(CSRC) setup.py pyproject.toml $(wildcard build_tools/*.py)

.PHONY: demo quick test test-sanitized lint kernels-on-host bench test-gpu clean
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
	$(BIN)/lint-imports --no-logo

# The CUDA kernels, compiled for the CPU, before pytest asks for them: it would seem to hang.
kernels-on-host: $(VENV)/dev.stamp
	$(BIN)/python python_tests/cuda_on_host/build.py

# One thread in each process: two of them on one core wait for each other.
test quick: export OMP_NUM_THREADS ?= 1
test quick: export OPENBLAS_NUM_THREADS ?= 1

test: lint kernels-on-host
	$(PYTEST)

# A representative part of the tests, in less than two minutes.
quick: kernels-on-host
	$(PYTEST) -m "not slow"

# The same under AddressSanitizer and UBSan, which must be loaded before Python.
test-sanitized: export DINFGRID_CUDA_ON_HOST := sanitized
test-sanitized: export ASAN_OPTIONS := detect_leaks=0
test-sanitized: SANITIZED ?= cuda-on-host or cuda_on_host
test-sanitized: $(VENV)/dev.stamp
	$(BIN)/python python_tests/cuda_on_host/build.py sanitized
	LD_PRELOAD="$$($(CXX) -print-file-name=libasan.so) $$($(CXX) -print-file-name=libstdc++.so)" \
	$(BIN)/python -m pytest -k "$(SANITIZED)"

# In an environment with a CUDA torch. Not editable, and pytest without the current folder on its
# path: the extension in the source folder is the one that `make test` built for its torch.
test-gpu: GPU_VENV ?= .venv-cuda
test-gpu: GPU_TORCH ?= torch==2.14.1
test-gpu:
	$(MAKE) --no-print-directory VENV=$(GPU_VENV) TORCH=$(GPU_TORCH) $(GPU_VENV)/torch.stamp
	$(GPU_VENV)/bin/python -c "import torch; torch.cuda.is_available() or exit(f'make test-gpu: \
	PyTorch {torch.__version__} (CUDA {torch.version.cuda}) sees no GPU')"
	DINFGRID_CUDA=1 $(GPU_VENV)/bin/python -m pip install --quiet --no-build-isolation ".[test]"
	$(GPU_VENV)/bin/pytest -m gpu

bench: $(VENV)/app.stamp
	$(BIN)/python -m bench.step

clean:
	rm -rf $(VENV) .venv-cuda build dist *.egg-info dinfgrid_cuda/_C.*.so dinfgrid_cuda/_build.json
	rm -rf .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find bench build_tools dinfgrid_cuda python_tests -name __pycache__ -prune -exec rm -rf {} +
