# make up      train, deploy into the local AWS, and ask for three predictions
# make test    run the tests
# make down    delete everything and end the local AWS
# README.md shows what each target runs, for those without make.
PYTHON ?= python3
BIN = .venv/bin

up: .venv/local
	$(BIN)/python -m deployer up --local
	$(BIN)/python -m deployer invoke --sample --local

test: .venv/test
	$(BIN)/python -m pytest -n auto --dist loadgroup

down: .venv/local
	$(BIN)/python -m deployer down --local --yes

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/local: setup.cfg pyproject.toml lambda_src/requirements.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c lambda_src/requirements.txt -e '.[local]'
	@touch $@

.venv/test: setup.cfg pyproject.toml lambda_src/requirements.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c lambda_src/requirements.txt -e '.[local,test]'
	@touch $@

.PHONY: up test down
