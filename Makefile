# make up      train, deploy into the local AWS, and ask for three predictions
# make test    run the tests; TESTS=all make test runs those that take long too, as .ci/run does
# make down    delete everything and end the local AWS
#
# For a change of the code:
# make format  format the code and mend the findings that ruff can mend
# make lint    check format and rules, change nothing
# make types   check types
# make bench   run the benchmarks that need neither a Docker engine nor a network
# make docs    regenerate the generated parts: the picture and table in README.md, other pages, golden files
# make site    build the documentation as a site into site/; open site/index.html
# make links   ask every address on another server that the documentation names; needs a network
# make lock    upgrade the development environment and rewrite requirements-dev.lock
# make dist    build wheel and source distribution into dist/
# make release cut a release: make release VERSION=0.2.0 (CONTRIBUTING.md)
#
# README.md shows what up, test and down run, for those without make.
PYTHON ?= python3
BIN = .venv/bin
PIP_FLAGS = --disable-pip-version-check --progress-bar on
# The lock is made for one version of Python; the environment is asked for its own.
LOCK = $(shell $(BIN)/python -c 'import sys; print("-c requirements-dev.lock" * (sys.version_info[:2] == (3, 11)))')

up: .venv/local
	$(BIN)/python -m deployer up --local
	$(BIN)/python -m deployer invoke --sample --local

# Where this is set, each of the tests' several hundred processes compiles what it imports anew.
test: export PYTHONDONTWRITEBYTECODE =
test: .venv/test
	$(BIN)/python -m pytest -n auto --dist loadgroup

down: .venv/local
	$(BIN)/python -m deployer down --local --yes

format: .venv/test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lint: .venv/test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: .venv/test
	$(BIN)/python -m mypy

bench: .venv/test
	$(BIN)/python benchmarks/deploy.py
	$(BIN)/python benchmarks/local.py
	$(BIN)/python benchmarks/many.py

docs: .venv/test
	$(BIN)/python docs/draw_workflow.py
	$(BIN)/python docs/write_reference.py
	$(BIN)/python -m pytest -q --regenerate $$(grep -rlE '"--regenerate"|golden\(' tests --include='test_*.py')

# The variable silences an advertisement.
site: export NO_MKDOCS_2_WARNING = 1
site: .venv/test
	$(BIN)/python -m mkdocs build --strict

links: .venv/test
	$(BIN)/python docs/check_links.py

lock: .venv/bin/pip
	$(BIN)/python -m pip install $(PIP_FLAGS) --upgrade --upgrade-strategy eager -c lambda_src/requirements.txt -e '.[local,test,docs]'
	{ grep '^#' requirements-dev.lock; $(BIN)/python -m pip freeze --exclude-editable \
	    $$(sed -n 's/^\([a-z-]*\)==.*/--exclude \1/p' lambda_src/requirements.txt); } >requirements-dev.lock.new
	mv requirements-dev.lock.new requirements-dev.lock

dist: .venv/test
	$(BIN)/python .ci/release.py build

release: .venv/test
	$(BIN)/python .ci/release.py cut $(VERSION)

# An environment counts once it has pip. Without its package python3-venv, Debian leaves one that has none, which the next
# run completes.
.venv/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and \
	    "deployer needs Python 3.10 or newer; $(PYTHON) is %d.%d: name another, as in make PYTHON=python3.12" % sys.version_info[:2])'
	$(PYTHON) -m venv .venv

.venv/local: setup.cfg pyproject.toml lambda_src/requirements.txt | .venv/bin/pip
	@echo "installing what the deployer needs into .venv; the first time takes a minute or two"
	$(BIN)/python -m pip install $(PIP_FLAGS) -c lambda_src/requirements.txt -e '.[local]'
	@touch $@

.venv/test: setup.cfg pyproject.toml lambda_src/requirements.txt requirements-dev.lock | .venv/bin/pip
	@echo "installing what the tests need into .venv; the first time takes a minute or two"
	$(BIN)/python -m pip install $(PIP_FLAGS) -c lambda_src/requirements.txt $(LOCK) -e '.[local,test,docs]'
	@touch $@

.PHONY: up test down format lint types bench docs site links lock dist release
