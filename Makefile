# `make run` and `make test` set up everything they need; both work on a fresh clone.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test test-long faults lint format bench docs site lock clean

$(VENV)/.runtime: requirements/runtime.txt requirements/build.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "LLM Proxy needs Python 3.11 or newer; set PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/runtime.txt -r requirements/build.txt
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.runtime
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

# With no upstream configured the built-in demo provider answers.
run: $(VENV)/.runtime
	@-$(BIN)/python tools/build_page.py --if-stale
	@if [ -n "$$PROXY_URL" ] || [ -n "$$LLM_PROXY_CONFIG" ] || [ -f llm-proxy.toml ]; then exec $(BIN)/llm-proxy; else exec $(BIN)/llm-proxy demo; fi

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python tools/check_sizes.py

test: $(VENV)/.dev
	@$(BIN)/python tools/install_test_needs.py
	@$(MAKE) --no-print-directory lint
	$(BIN)/python tools/build_page.py --if-stale
	$(BIN)/python -m pytest -m "not long"

test-long: $(VENV)/.dev
	@$(BIN)/python tools/install_test_needs.py --long
	$(BIN)/python -m pytest -m long

# Every situation of docs/faults-matrix.md against the real process, a line for each.
faults: $(VENV)/.dev
	@$(BIN)/python tools/run_faults.py $(if $(LONG),--long)

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix-only .

bench: $(VENV)/.dev
	@$(BIN)/python tools/install_test_needs.py --bench
	$(BIN)/python -m bench
	$(BIN)/python -m bench.failover
	$(if $(PEERS),$(BIN)/python -m bench.peers)

# The documentation as a site, in dist/site.
site: $(VENV)/.dev requirements/site.txt
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/site.txt
	$(BIN)/python -m mkdocs build -q

docs: $(VENV)/.dev
	$(BIN)/python tools/write_reference.py
	$(BIN)/python tools/write_compatibility.py

lock:
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml -o requirements/runtime.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header -c requirements/runtime.txt requirements/build.in -o requirements/build.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header requirements/publish.in -o requirements/publish.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header -c requirements/runtime.txt --group dev --extra otel pyproject.toml -o requirements/dev.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header -c requirements/dev.txt requirements/site.in -o requirements/site.txt

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .peers dist
