# `make repro` and `make test` work on a fresh clone that reaches package registries only; the first call sets up .venv.
PYTHON ?= python3
VENV ?= .venv
CORPUS_VENV ?= .venv-corpus
BIN := $(VENV)/bin
HEAD := tools/corpus/.cache/head.npz
RECENT := import sys; sys.exit(sys.version_info < (3, 11))
export PATH := $(abspath $(BIN)):$(PATH)

.PHONY: repro test test-stages test-pipeline test-others test-slow faults test-all check format setup corpus clean

repro: setup ## the whole pipeline: media to report, runs side by side; JOBS=1 is plain `dvc repro`
	python -m tools.parallel_repro $(if $(JOBS),--jobs $(JOBS))

# In three processes, for a test of a stage waits much; each third prints when it has ended.
test: setup $(HEAD) ## the tests, slow ones left out; `pytest -m "not stage and not slow"` is a quick loop
	@$(MAKE) --no-print-directory --jobs=3 --keep-going --output-sync=target test-stages test-pipeline test-others

test-stages:
	python -m pytest -m "stage and not slow and not faults"

test-pipeline:
	python -m pytest tests/pipeline -m "not stage and not slow and not faults"

test-others:
	python -m pytest --ignore=tests/pipeline -m "not stage and not slow and not faults"

# Those of tools/ are of whole benchmarks: by hand, or by test-all.
test-slow: setup ## the pipeline's slow tests: whole repros in other forms, your own files side by side with ours
	python -m pytest -m "slow and not faults" --ignore=tests/tools

faults: setup ## kill, corrupt, poison and fill disks under the real pipeline (docs/reliability.md); some minutes
	python -m pytest -m faults

test-all: setup $(HEAD)
	python -m pytest

check: setup ## lint, format and types
	ruff check .
	ruff format --check .
	mypy

format: setup
	ruff check --fix .
	ruff format .

# The checkout may have been moved, or downloaded without git, since the packages were installed.
setup: $(VENV)/.installed
	@$(BIN)/python -c "" 2>/dev/null || { echo "$(VENV) has no Python that runs: remove it, then make again" >&2; exit 1; }
	@$(BIN)/python -m tools.environment

# torch first and by its pin: resolved together with the rest, a newer build with CUDA packages could come.
$(VENV)/.installed: requirements.txt requirements-export.txt requirements-cluster.txt requirements-dev.txt
	@$(PYTHON) -c '$(RECENT)' || { echo "$(PYTHON) is older than Python 3.11: name another, as in make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -c '$(RECENT)' || { echo "$(VENV) is of a Python older than 3.11: remove it, then make again" >&2; exit 1; }
	$(BIN)/python -m pip install --quiet $$(grep '^torch==' requirements.txt)
	$(BIN)/python -m pip install --quiet -r requirements-dev.txt
	touch $@

# 48 MB, once. Where they cannot be had, the tests of the corpus's geometry and pictures skip.
$(HEAD): | setup
	-$(BIN)/python -m tools.corpus.fetch --head

corpus: $(CORPUS_VENV)/.installed ## clips that data/demo lacks (remove it to have all anew); CORPUS_OPTIONS="--people 500 --out elsewhere"
	$(CORPUS_VENV)/bin/python -m tools.corpus.fetch
	$(CORPUS_VENV)/bin/python -m tools.corpus.generate $(CORPUS_OPTIONS)

$(CORPUS_VENV)/.installed: tools/corpus/requirements.txt
	$(PYTHON) -m venv $(CORPUS_VENV)
	$(CORPUS_VENV)/bin/python -m pip install --quiet -r tools/corpus/requirements.txt
	touch $@

clean: ## what a run leaves here; the DVC cache and .sbnet stay
	rm -rf artifacts
