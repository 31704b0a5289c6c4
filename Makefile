# On a fresh Debian machine with python3 (3.11 or later), python3-venv, make and git: `make demo` and `make test`.

VENV := .venv
PYTHON ?= python3
# Tests wait more than they compute, so there are more workers than cores.
WORKERS ?= 4
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 $(VENV)/bin/python -m pip install --quiet --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help demo test lint types floors servers clients fuzzer unit fuzz conformance bench bench-smoke bench-postgres churn fleet-run docs wheel binary image-check constraints clean

help:
	@echo "make demo         the proxy in front of a make-believe RDS, on this machine alone; Ctrl-C ends it"
	@echo "make test         install what tests need, then lint, types, floors and all tests"
	@echo "make lint         ruff: rules and format"
	@echo "make types        mypy --strict"
	@echo "make floors       import-linter: a module imports only from lower floors"
	@echo "make unit         the tests that need no server: seconds"
	@echo "make servers      install the MySQL, MariaDB and PostgreSQL servers that tests use (root on Debian; minutes, once)"
	@echo "make clients      install the clients of the conformance tests that CI runs (packages as root on Debian)"
	@echo "make fuzz         MINUTES=1 of fuzzing for each decoder, login and scanner of the wire protocols, and the configuration"
	@echo "make conformance  every client, through the proxy and directly, must see the same; writes docs/conformance.md"
	@echo "make bench        measure against a direct connection and MySQL Router, write docs/benchmarks.md (35 minutes)"
	@echo "make bench-smoke  every measure for a moment, to see that it works"
	@echo "make bench-postgres  PostgreSQL beside pgbouncer (apt-get install pgbouncer); renews its part of docs/benchmarks.md (15 minutes)"
	@echo "make churn        clients of all kinds, killed and flooding ones too: nothing may grow, nothing may be left at the server (20 minutes)"
	@echo "make fleet-run    four proxies with one budget through every outage of its store; writes docs/fleet.md (8 minutes)"
	@echo "make docs         renew docs/troubleshooting.md and docs/configuration.md from the program's tables"
	@echo "make wheel        build dist/*.whl"
	@echo "make binary       build dist/rds-iam-proxy/ and a .tar.gz of it, for machines like this one without Python"
	@echo "make image-check  take the Dockerfile's steps in Debian folders, try the binary there (root on Debian; minutes)"
	@echo "make constraints  renew constraints.txt from pyproject.toml"
	@echo "make clean        remove what was made here; the servers stay in the user's cache folder"

demo: $(VENV)/installed
	$(VENV)/bin/rds-iam-proxy demo

test: lint types floors servers clients fuzzer
	$(VENV)/bin/python -m pytest -m alone
	# What fails beside other tests, on a busy machine perhaps, must pass by itself.
	$(VENV)/bin/python -m pytest -m 'not alone' --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder \
	    || $(VENV)/bin/python -m pytest -m 'not alone' --last-failed --last-failed-no-failures none

lint: $(VENV)/installed-dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types: $(VENV)/installed-dev
	$(VENV)/bin/mypy

floors: $(VENV)/installed-dev
	$(VENV)/bin/lint-imports

# What cannot be had is said here, and again where pytest skips its tests; in CI those tests fail.
servers: $(VENV)/installed-dev
	@if [ "$$(id -u)" = 0 ]; then \
	    PYTHONPATH=tests $(VENV)/bin/python -m servers.install || echo "servers: tests of what is missing will be skipped"; \
	else \
	    echo "servers: not root, so nothing is installed"; \
	fi

# The clients of the quick half of the conformance matrix.
clients: $(VENV)/installed-dev
	@PYTHONPATH=tests $(VENV)/bin/python -m conformance.install --quick || echo "clients: tests of what is missing will be skipped"

# atheris has wheels for some Pythons on Linux only.
fuzzer: $(VENV)/installed-dev
	@$(VENV)/bin/python -c 'import atheris' 2>/dev/null || $(PIP) --no-build-isolation --editable '.[fuzz]' \
	    || echo "fuzzer: atheris cannot be installed for this Python; the test that fuzzes will be skipped"

unit: $(VENV)/installed-dev
	$(VENV)/bin/python -m pytest tests/unit

MINUTES ?= 1
fuzz: fuzzer
	PYTHONPATH=tests $(VENV)/bin/python -m fuzz --seconds "$$(($(MINUTES) * 60))"

conformance: servers
	PYTHONPATH=tests $(VENV)/bin/python -m conformance.install || echo "conformance: what is missing is named again below"
	PYTHONPATH=tests $(VENV)/bin/python -m conformance

# Leave the machine alone meanwhile.
bench: servers
	PYTHONPATH=tests $(VENV)/bin/python -m bench run

bench-smoke: servers
	PYTHONPATH=tests $(VENV)/bin/python -m bench smoke

# Leave the machine alone meanwhile. ROUNDS=1 EACH_SECONDS=1 to see that it works.
ROUNDS ?= 5
EACH_SECONDS ?= 5
bench-postgres: servers
	PYTHONPATH=tests $(VENV)/bin/python -m bench.postgres --rounds $(ROUNDS) --seconds $(EACH_SECONDS)

churn: servers
	PYTHONPATH=tests $(VENV)/bin/python -m bench churn

# Leave the machine alone meanwhile.
fleet-run: servers
	PYTHONPATH=tests $(VENV)/bin/python -m fleet

docs: $(VENV)/installed
	$(VENV)/bin/python docs/make_troubleshooting.py
	$(VENV)/bin/python docs/make_configuration.py

wheel: $(VENV)/installed
	$(VENV)/bin/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .
	@ls dist/*.whl

binary: $(VENV)/installed-dev
	$(VENV)/bin/pyinstaller --noconfirm --log-level WARN --workpath build/binary --distpath dist packaging/binary/rds-iam-proxy.spec
	tar -czf dist/rds-iam-proxy-$$(uname -s | tr A-Z a-z)-$$(uname -m).tar.gz -C dist rds-iam-proxy
	@ls -sh dist/*.tar.gz

image-check: $(VENV)/installed-dev binary
	PYTHONPATH=tests $(VENV)/bin/python -m image_build

# Run with the oldest Python that is supported: some packages need others there that later ones do without.
constraints: $(VENV)/bin/python
	rm -rf build/constraints
	$(VENV)/bin/python -m venv build/constraints
	build/constraints/bin/python -m pip install --quiet '.[dev,fuzz]'
	{ echo "# Made by 'make constraints': the versions that everything is tested with."; \
	  build/constraints/bin/python -m pip freeze --exclude rds-iam-proxy; } > build/constraints.txt
	mv build/constraints.txt constraints.txt
	rm -rf build/constraints

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage
	find proxy protocol tests bench -name __pycache__ -prune -exec rm -rf {} +

# The build tool comes first and builds without isolation: so its version is pinned too.
$(VENV)/installed: pyproject.toml constraints.txt $(VENV)/bin/python
	@echo "installing rds-iam-proxy into $(VENV)"
	$(PIP) hatchling
	$(PIP) --no-build-isolation --editable .
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	@echo "installing what tests need into $(VENV)"
	$(PIP) --no-build-isolation --editable '.[dev]'
	@touch $@

# `python3` can be a shim of a version manager, for a version that is too old or not there: then Debian's own is taken.
$(VENV)/bin/python:
	@for python in $(PYTHON) /usr/bin/python3 python3.13 python3.12 python3.11; do \
	    if $$python -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	        exec $$python -m venv --clear $(VENV); \
	    fi; \
	done; \
	echo "no Python 3.11 or later with venv and pip; on Debian: apt-get install python3-venv" >&2; exit 1
