"""`config show`: every setting with its value and its place, at every width, without secrets."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from deployer.project.settings import SETTINGS, read_settings
from deployer.report.configuration import configuration_lines, print_configuration
from deployer.report.console import make_console
from deployer.service.configuration import Configuration, configuration
from tests.support.command_line import deployer

CONFIG = """[deployer]
service = shop
tags = team=ml, cost-center=42
environment = MODE=fast
    DB_PASSWORD=correct horse
[deployer.prod]
memory_mb = 2048
tags = team=platform
[deployer:forest]
timeout_s = 60
[deployer.prod:forest]
environment = MODE=exact
[deployer.test]
memory_mb = 512
[deployer.test:linear]
memory_mb = 256
"""


@pytest.fixture
def shown(tmp_path: Path) -> Configuration:
    (tmp_path / "setup.cfg").write_text(CONFIG)
    variables = {"DEPLOYER_LOG_LEVEL": "error", "DEPLOYER_TOKEN": "eyJ.secret"}
    return configuration(read_settings(tmp_path, {"stage": "prod", "region": None}, variables))


def test_the_document_names_each_value_and_its_place(shown: Configuration, tmp_path: Path) -> None:
    document = shown.document
    assert list(document["settings"]) == list(SETTINGS)
    expected = {
        "service": {"value": "shop", "from": "[deployer]"},
        "stage": {"value": "prod", "from": "--stage"},
        "memory_mb": {"value": 2048, "from": "[deployer.prod]"},
        "timeout_s": {"value": 20, "from": "default"},
        "log_level": {"value": "error", "from": "DEPLOYER_LOG_LEVEL"},
        "region": {"value": None, "from": "default"},
        "tracing": {"value": False, "from": "default"},
        "cors_origins": {"value": ["*"], "from": "default"},
        "tags": {
            "value": {"team": "platform", "cost-center": "42"},
            "from": {"team": "[deployer.prod]", "cost-center": "[deployer]"},
        },
    }
    assert {name: document["settings"][name] for name in expected} == expected
    assert document["project"] == str(tmp_path) and document["stage"] == "prod"
    assert document["sections_of_other_stages"] == ["deployer.test", "deployer.test:linear"]
    json.dumps(document)


def test_a_function_has_what_differs_and_nothing_else(shown: Configuration) -> None:
    assert shown.document["functions"] == {
        "forest": {
            "timeout_s": {"value": 60, "from": "[deployer:forest]"},
            "environment": {
                "value": {"MODE": "exact", "DB_PASSWORD": "(withheld)"},
                "from": {"MODE": "[deployer.prod:forest]", "DB_PASSWORD": "[deployer]"},
            },
        }
    }


@pytest.mark.parametrize("width", [1, 40, 80, 120, 10_000])
def test_every_line_fits_and_nothing_is_lost(shown: Configuration, width: int) -> None:
    lines = [line.plain for line in configuration_lines(shown, width)]
    if width > 1:
        assert all(cell_len(line) <= width for line in lines)
    text = re.sub(r"\s", "", "".join(lines))
    for name in SETTINGS:
        assert width == 1 or name in text
    for value in ("[deployer.prod:forest]", "cost-center=42", "DEPLOYER_LOG_LEVEL", "offorest"):
        assert value in text


def test_wide_terminals_get_a_table_and_narrow_ones_a_list(shown: Configuration) -> None:
    wide = "\n".join(line.plain for line in configuration_lines(shown, 80))
    assert re.search(r"^tags +team=platform +\[deployer\.prod\]$", wide, re.MULTILINE)
    assert re.search(r"^ +cost-center=42 +\[deployer\]$", wide, re.MULTILINE)
    assert re.search(r"^timeout_s +20 +default\n  of forest +60 +\[deployer:forest\]$", wide, re.M)
    assert wide.endswith("\nnot for stage prod: [deployer.test], [deployer.test:linear]")
    narrow = "\n".join(line.plain for line in configuration_lines(shown, 40))
    assert "\nmemory_mb\n    2048\n    [deployer.prod]\n" in narrow


@pytest.mark.parametrize("width", [40, 120])
def test_a_secret_is_in_no_form_of_it(shown: Configuration, width: int) -> None:
    text = "".join(line.plain for line in configuration_lines(shown, width))
    for form in (text, json.dumps(shown.document)):
        assert "horse" not in form and "eyJ" not in form
        assert "(withheld)" in form


def test_a_value_that_a_terminal_would_obey_is_escaped(tmp_path: Path) -> None:
    text = "[deployer]\nenvironment = BELL=\x1b[31mred\n"
    (tmp_path / "setup.cfg").write_text(text, encoding="utf-8")
    stream = io.StringIO()
    found = configuration(read_settings(tmp_path, {}, {}))
    print_configuration(make_console(stream), found)
    assert "\x1b" not in stream.getvalue() and r"BELL=\u001b[31mred" in stream.getvalue()


def test_the_command_asks_no_account_and_starts_no_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr("socket.socket.connect", refuse)
    (tmp_path / "setup.cfg").write_text(CONFIG)
    printed = deployer(tmp_path, "config", "show", "--stage", "test", "--local")
    assert printed.err == "" and "memory_mb                512" in printed.out
    document = deployer(tmp_path, "config", "--stage", "test", "--json").json
    assert document["settings"]["memory_mb"] == {"value": 512, "from": "[deployer.test]"}
    assert [path.name for path in tmp_path.iterdir()] == ["setup.cfg"]


def test_wrong_settings_are_an_error_that_names_all(tmp_path: Path) -> None:
    (tmp_path / "setup.cfg").write_text("[deployer]\nmemory = 1\n[deplyer]\n")
    ran = deployer(tmp_path, "config", "show", "--json", code=1)
    assert ran.json["error"]["message"] == (
        "setup.cfg [deplyer]: did you mean [deployer]?\n"
        "setup.cfg [deployer] memory: unknown; did you mean memory_mb?"
    )
    usage = deployer(tmp_path, "config", "list", code=2)
    assert "'list' is not 'show'" in usage.err


def test_a_section_of_a_function_that_the_workflow_does_not_name_is_told(project: Path) -> None:
    (project / "setup.cfg").write_text("[deployer]\n[deployer:random_forst]\nmemory_mb = 512\n")
    ran = deployer(project, "config", "show")
    assert "of random_forst" in ran.out
    assert ran.err == (
        "note: setup.cfg [deployer:random_forst]: state_machine.json names no function "
        "random_forst; did you mean random_forest?\n"
    )
