"""docs/settings.md is true: its examples are read, and its table is what `config show` prints."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from deployer.project.parsers import HANDLERS_OWN, MOST_TAGS
from deployer.project.settings import SETTINGS, Settings, load_settings
from tests.support.command_line import deployer
from tests.support.projects import ROOT

PAGE = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
TEXT = " ".join(PAGE.split())  # a sentence may be broken anywhere
PLACES, TAGS, VARIABLES = re.findall(r"^```ini\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def load(folder: Path, text: str, **options: str) -> Settings:
    (folder / "setup.cfg").write_text(text, encoding="utf-8")
    return load_settings(folder, options, {})


def test_the_table_of_places_wins_as_it_says(tmp_path: Path) -> None:
    settings = load(tmp_path, PLACES, stage="prod")
    assert (settings.region, settings.log_retention_days) == ("eu-central-1", 365)
    churn = settings.function("churn")
    assert (churn.memory_mb, churn.provisioned_concurrency) == (2048, 2)
    other = load(tmp_path, PLACES).function("churn")
    assert (other.memory_mb, other.provisioned_concurrency) == (2048, None)


def test_what_is_shown_is_the_beginning_of_what_config_prints(tmp_path: Path) -> None:
    (tmp_path / "setup.cfg").write_text(PLACES, encoding="utf-8")
    (command,) = re.findall(r"^python -m deployer (config .*)$", PAGE, re.MULTILINE)
    (shown,) = re.findall(r"^```text\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    printed = deployer(tmp_path, *shlex.split(command)).out
    assert printed.startswith(shown) and len(printed.splitlines()) > len(SETTINGS)


def test_the_document_has_the_members_that_the_page_names(tmp_path: Path) -> None:
    (tmp_path / "setup.cfg").write_text(PLACES, encoding="utf-8")
    document = deployer(tmp_path, "config", "--json", "--stage", "prod").json
    (members,) = re.findall(r"the document is `\{(.*?)\}`", PAGE)
    assert [f'"{name}"' for name in document] == members.split(", ")


def test_the_tags_of_the_example_are_those_that_the_page_says(tmp_path: Path) -> None:
    tags = load(tmp_path, TAGS, stage="prod").own_tags
    *first, last = [f"`{key}={value}`" for key, value in sorted(tags.items())]
    assert f"In the stage `prod` these are {', '.join(first)} and {last}." in TEXT
    assert f": {MOST_TAGS} of yours" in TEXT


def test_the_variables_of_the_example_and_the_names_that_are_taken(tmp_path: Path) -> None:
    settings = load(tmp_path, VARIABLES)
    assert settings.defaults.environment == {"MODE": "fast", "OMP_NUM_THREADS": "1"}
    assert settings.function("churn").environment["MODE"] == "exact"
    listed = re.findall(r"those of the handler \((.*?)\)", TEXT)[0]
    assert re.findall(r"`(\w+)`", listed) == list(HANDLERS_OWN)


@pytest.mark.parametrize("name", [name for name, one in SETTINGS.items() if one.per_function])
def test_the_settings_of_a_function_are_named(name: str) -> None:
    sentence = re.findall(r"Settings of a function are (.*?)\. All others", TEXT)[0]
    assert f"`{name}`" in sentence
