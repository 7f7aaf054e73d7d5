# `make help` lists the commands. Python 3.11 or later and make are all they need.

PYTHON ?= python3
BIN := .venv/bin
DOCS := .tools/docs
# Tests wait for servers, browsers and workers a third of their time, so there are more
# processes than the two cores that they are made for.
TEST_PROCESSES ?= 3
UV_COMPILE := $(BIN)/uv pip compile -q --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url pyproject.toml

.DEFAULT_GOAL := help
.PHONY: help run test test-quick coverage check docs clients conformance bench screenshots \
	requirements clean

help: ## list the commands
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 14

run: .venv/base ## set everything up and serve the registry; Ctrl-C stops it
	@exec $(BIN)/python manage.py run

test: .venv/dev ## run the tests on SQLite and on PostgreSQL
	BERTH_TEST_DATABASE=sqlite $(BIN)/pytest -q -n $(TEST_PROCESSES) --dist loadgroup \
		-m "not on_postgres" tests
	@# What has a database of its own or none would do the same once more, and real
	@# clients and browsers see no database.
	BERTH_TEST_DATABASE=postgres $(BIN)/pytest -q -n $(TEST_PROCESSES) --dist loadgroup \
		-m "not own_database and not once" tests

test-quick: .venv/dev ## run what needs no browser, client or server of its own, on SQLite
	BERTH_TEST_DATABASE=sqlite $(BIN)/pytest -q -n $(TEST_PROCESSES) --dist loadgroup \
		-m "not on_postgres and not slow" tests

coverage: .venv/dev ## run the tests on SQLite and list the branches that none takes
	rm -rf build/coverage
	@# A report is worth reading after a failure, too; the status is that of the tests.
	status=0; \
	BERTH_TEST_DATABASE=sqlite $(BIN)/coverage run -m pytest -q -n $(TEST_PROCESSES) --dist loadgroup \
		-m "not on_postgres" tests || status=$$?; \
	$(BIN)/coverage combine -q && $(BIN)/coverage report && exit $$status

check: .venv/dev ## format, lint, spelling, English, types, templates, migrations
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/codespell $$(git ls-files)
	$(BIN)/python -m tools.check_english
	$(BIN)/mypy .
	$(BIN)/djade --target-version 5.2 --check $$(git ls-files 'templates/*.html')
	BERTH_DATA=build/check $(BIN)/python -W ignore manage.py makemigrations --check --dry-run
	BERTH_DATA=build/check $(BIN)/python manage.py check

docs: $(DOCS)/ready ## build the documentation in build/docs; a dead link fails
	NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/mkdocs build --strict

clients: ## install what the tests with real clients want (root; Debian, Go)
	sh tools/install_clients.sh

conformance: .venv/dev ## run the OCI conformance program against Berth (needs Go)
	$(BIN)/python -m tools.conformance

bench: .venv/dev ## measure against other registries and print tables
	$(BIN)/python -m bench.run

screenshots: .venv/dev ## take the pictures in docs/images anew (needs Chromium)
	$(BIN)/python -m tools.screenshots

requirements: .venv/dev ## pin again what pyproject.toml wants
	$(UV_COMPILE) -o requirements/base.txt
	$(UV_COMPILE) --group dev -o requirements/dev.txt
	$(UV_COMPILE:pyproject.toml=) --group clients -o requirements/clients.txt
	$(UV_COMPILE:pyproject.toml=) --group docs -o requirements/docs.txt

clean: ## remove what the commands made, except the data
	rm -rf .venv build .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis

.venv/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Berth needs Python 3.11 or later")'
	$(PYTHON) -m venv .venv
	@touch $@

.venv/base: requirements/base.txt | .venv/python
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r $<
	@touch $@

.venv/dev: requirements/dev.txt .venv/base
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(DOCS)/ready: requirements/docs.txt | .venv/python
	$(BIN)/python -m venv --clear $(DOCS)
	$(DOCS)/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r $<
	@touch $@
