# Every command that the README and CONTRIBUTING name. The engines are found on PATH, or built into the user's cache.
PYTHON ?= python3
BIN := .venv/bin
PARALLEL := -n logical --dist worksteal
PROTOCOL := provider/ollama_provider/terraform/protocol

# The tests start the commands hundreds of times: each would be compiled anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test lint test-fast explore snapshots engines generated locked bench memory-tables clean

demo: .venv/installed
	$(BIN)/python -m tests.engines.demo

test: lint engines
	$(BIN)/python -m pytest -m "not engines" $(PARALLEL)
	$(BIN)/python -m pytest -m "engines and not alone" -n logical --maxprocesses 4 --dist loadfile
	$(BIN)/python -m pytest -m "engines and alone"

# The inner loop: what takes seconds of processor time is left out.
test-fast: lint
	$(BIN)/python -m pytest -m "not engines and not slow" $(PARALLEL)

# What Hypothesis finds with other examples than the tests' own; a find is printed with the lines that repeat it.
explore: .venv/installed
	$(BIN)/python -m pytest -m "not engines" $(PARALLEL) --hypothesis-profile random $$(grep -rl '^from hypothesis' tests --include='test_*.py')

# Whole outputs as they are now; `git diff tests/snapshots` shows what a change does to them.
snapshots: .venv/installed
	$(BIN)/python -m pytest -q --update-snapshots $$(grep -rl 'snapshots: Snapshots' tests --include='test_*.py')

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

engines: .venv/installed
	$(BIN)/python -m tests.engines

generated: .venv/installed
	$(BIN)/python -m ollama_provider.schemas schemas
	$(BIN)/python -m ollama_provider.reference docs/ollama_model.md
	$(BIN)/python -m ollama_provider.terraform.documentation docs
	$(BIN)/python -m ollama_policy.model.declaration_table_generator
	$(BIN)/python -m ollama_policy.rules.pages docs/rules
	$(BIN)/python -m ollama_policy.schemas schemas
	$(BIN)/python -m tests.support_matrix docs/support.md
	$(BIN)/python -m grpc_tools.protoc -I$(PROTOCOL) --python_out=$(PROTOCOL) --pyi_out=$(PROTOCOL) tfplugin6.proto

# Needs uv on PATH, and asks the package index.
locked:
	.ci/lock policies/ollama_policy/locked_requirements.txt

bench: engines
	$(BIN)/python -m benchmarks

# The tables of docs/memory.md, for Ollama 0.34: three quarters of an hour.
memory-tables: engines
	$(BIN)/python -m benchmarks.memory_dry_run --seed 15 --shapes 5000 --docs
	$(BIN)/python -m benchmarks.memory_dry_run --published --docs
	$(BIN)/python -m benchmarks.memory_process --seed 16 --processes 40 --docs

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --editable '.[pulumi,report,terraform]' --group dev
	touch $@

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache dist
