# `make demo` runs the main job, `make test` the whole suite, `make bench` the benchmark, `make evidence` measures
# the capability matrix and writes it down. All in `.venv`.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PYTEST_ARGS ?=
BENCH_ARGS ?=
SYSTEM = chromium mesa-vulkan-drivers libvulkan1

.PHONY: demo test check bench evidence system clean

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) was not found: name another, as in make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
	  echo "$(PYTHON) is older than 3.10: name another, as in make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV) 2>/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && apt-get install -y -qq python3-venv && rm -rf $(VENV) && $(PYTHON) -m venv $(VENV); \
	  else \
	    rm -rf $(VENV); echo "$(PYTHON) -m venv failed: install the package python3-venv"; exit 1; \
	  fi; }

$(VENV)/.demo: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install -q --disable-pip-version-check -e .
	@touch $@

$(VENV)/.test: $(BIN)/python pyproject.toml requirements-test.txt
	$(BIN)/python -m pip install -q --disable-pip-version-check -r requirements-test.txt -e ".[test]"
	@touch $@ $(VENV)/.demo

demo: $(VENV)/.demo
	$(BIN)/spiraltorch demo

# What some tests need from the system: a browser for the matrix's page, a software device for WGPU. Those tests are
# skipped loudly without it, so nothing here fails.
system:
	@missing=""; if command -v dpkg-query >/dev/null; then \
	  for p in $(SYSTEM); do dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'install ok' || missing="$$missing $$p"; done; \
	  if [ -z "$$missing" ]; then :; \
	  elif [ "$$(id -u)" = 0 ] && (apt-get update -qq && DEBIAN_FRONTEND=noninteractive timeout 300 \
	    apt-get install -y -qq --no-install-recommends $$missing) >/dev/null 2>&1; then :; \
	  else echo "some tests will be skipped: install the packages$$missing"; fi; \
	else echo "some tests may be skipped: they need Chromium and a Vulkan driver"; fi

test: $(VENV)/.test system
	$(BIN)/python -m pytest -n 2 --dist worksteal $(PYTEST_ARGS)

check: $(VENV)/.test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy --strict src tools/process_replay tools/bench_commits.py tools/stubs.py tools/pytorch_differences.py tools/accuracy.py tools/growth.py
	$(BIN)/mypy --strict tests/typing/user_code.py
	$(BIN)/python tools/stubs.py --check
	$(BIN)/python tools/pytorch_differences.py --check
	$(BIN)/lint-imports

evidence: $(VENV)/.test system
	$(BIN)/spiraltorch verify --record
	$(BIN)/spiraltorch matrix --write docs/backend_matrix.md

bench: $(VENV)/.test
	$(BIN)/spiraltorch bench $(BENCH_ARGS)

clean:
	rm -rf $(VENV) dist build
