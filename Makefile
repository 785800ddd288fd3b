# make up      train, deploy into the local AWS, and ask for three predictions
# make test    run the tests; TESTS=all make test runs every case of the exhaustive ones
# make down    delete everything and end the local AWS
# README.md shows what each target runs, for those without make.
PYTHON ?= python3
BIN = .venv/bin
PIP_FLAGS = --disable-pip-version-check --progress-bar on

up: .venv/local
	$(BIN)/python -m deployer up --local
	$(BIN)/python -m deployer invoke --sample --local

test: .venv/test
	$(BIN)/python -m pytest -n auto --dist loadgroup

down: .venv/local
	$(BIN)/python -m deployer down --local --yes

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

.venv/test: setup.cfg pyproject.toml lambda_src/requirements.txt | .venv/bin/pip
	@echo "installing what the tests need into .venv; the first time takes a minute or two"
	$(BIN)/python -m pip install $(PIP_FLAGS) -c lambda_src/requirements.txt -e '.[local,test]'
	@touch $@

.PHONY: up test down
