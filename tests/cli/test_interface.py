"""`openapi` and `page` as commands: their forms, and the files that they write and leave alone."""

from __future__ import annotations

import json
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.command_line import deployer
from tests.support.projects import make_project


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, trained: Path) -> Path:
    """A project that the tests of this module share; each writes files of its own."""
    return make_project(tmp_path_factory.mktemp("interface") / "project", trained)


def test_the_document_is_printed_in_both_forms(folder: Path) -> None:
    printed = deployer(folder, "openapi")
    assert printed.err == ""
    document = printed.json
    assert document["openapi"] == "3.1.0" and document["info"]["title"] == "inference-dev"
    same = yaml.safe_load(deployer(folder, "openapi", "--format", "yaml").out)
    generator = "written by python -m deployer openapi, sha256:"
    assert document.pop("x-generator").startswith(generator)
    assert same.pop("x-generator").startswith(generator)
    assert same == document
    told = deployer(folder, "openapi", "--json").json
    assert told == {"format": "json", "output": None, "document": document}


def test_the_models_files_are_not_needed(folder: Path, tmp_path: Path) -> None:
    names = ["setup.cfg", "state_machine.json", "models/manifest.json"]
    (tmp_path / "models").mkdir()
    for name in names:
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    assert deployer(tmp_path, "openapi").json["paths"]["/"]
    deployer(tmp_path, "page", "--output", "try.html")


@pytest.mark.parametrize("name", ["api.json", "api.yaml", "api.yml", "api.txt"])
def test_the_suffix_says_the_form(folder: Path, name: str) -> None:
    ran = deployer(folder, "openapi", "--output", name)
    assert ran.out == "" and ran.err == f"{name} is written\n"
    text = (folder / name).read_text()
    assert text.startswith("openapi: 3.1.0\n" if ".y" in name else "{\n")


@pytest.mark.parametrize(
    ("verb", "name"), [("openapi", "own.json"), ("openapi", "own.yaml"), ("page", "own.html")]
)
def test_a_file_is_written_again_unless_it_was_changed(folder: Path, verb: str, name: str) -> None:
    path = folder / name
    deployer(folder, verb, "--output", name)
    text = path.read_text()
    deployer(folder, verb, "--output", name, "--url", "https://shop.example/")
    assert path.read_text() != text and "https://shop.example" in path.read_text()
    deployer(folder, verb, "--output", name)
    assert path.read_text() == text
    for changed in (text + "\n", text.replace("inference-dev", "mine"), text + text):
        path.write_text(changed)
        ran = deployer(folder, verb, "--output", name, code=1)
        assert f"{name} exists and is not a" in ran.err and "it is left alone" in ran.err
        assert path.read_text() == changed


@pytest.mark.parametrize("verb", ["openapi", "page"])
def test_files_of_somebody_else_stay(folder: Path, verb: str) -> None:
    other = {"openapi": "page", "page": "openapi"}[verb]
    deployer(folder, other, "--output", f"of_{other}")
    for name in ("setup.cfg", "state_machine.json", f"of_{other}"):
        before = (folder / name).stat()
        ran = deployer(folder, verb, "--output", name, code=1)
        assert "it is left alone" in ran.err
        assert (folder / name).stat().st_mtime_ns == before.st_mtime_ns
    ran = deployer(folder, verb, "--output", "none/x", code=1)
    assert "the folder none does not exist" in ran.err


def test_yaml_without_its_package_says_what_to_do(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    ran = deployer(folder, "openapi", "--format", "yaml", code=1)
    assert "PyYAML, which is not installed" in ran.err
    assert "pip install 'multi-model-deployer[yaml]', or --format json" in ran.err


@pytest.mark.parametrize("verb", ["openapi", "page"])
def test_a_url_that_is_none_is_wrong_usage(folder: Path, verb: str) -> None:
    ran = deployer(folder, verb, "--output", "x", "--url", "shop.example", code=2)
    assert "--url: 'shop.example' must be an address" in ran.err
    assert not (folder / "x").exists()


def test_the_settings_reach_document_and_page(folder: Path) -> None:
    rest = {"DEPLOYER_API": "rest", "DEPLOYER_AUTH": "key", "DEPLOYER_SERVICE": "shop"}
    document = deployer(folder, "openapi", environment=rest).json
    assert list(document["paths"]) == ["/", "/health"] and document["security"] == [{"key": []}]
    assert document["info"]["title"] == "shop-dev"
    ran = deployer(folder, "page", "--output", "key.html", "--json", environment=rest)
    assert ran.json == {"output": "key.html", "url": None}
    assert "warning" not in ran.err  # the API allows pages the header of the key by itself
    bare = {**rest, "DEPLOYER_CORS_HEADERS": "x-mine"}
    ran = deployer(folder, "page", "--output", "key.html", environment=bare)
    assert "warning: browsers keep pages from sending content-type" in ran.err
    none = {**rest, "DEPLOYER_CORS_ORIGINS": ""}
    ran = deployer(folder, "page", "--output", "key.html", environment=none)
    assert "because cors_origins is empty" in ran.err


class Elements(HTMLParser):
    """The elements of a page, and the text of its scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.found and self.found[-1][0] == "script":
            self.scripts[-1] += data


def test_the_page_is_one_file_and_loads_nothing(folder: Path) -> None:
    deployer(folder, "page", "--output", "whole.html", "--url", "https://shop.example/")
    elements = Elements()
    elements.feed((folder / "whole.html").read_text())
    for tag, attributes in elements.found:
        assert not {"src", "href", "action", "srcset"} & set(attributes), (tag, attributes)
        assert not any(name.startswith("on") or name == "style" for name in attributes)
    service: Any = json.loads(elements.scripts[0])
    assert service["url"] == "https://shop.example/" and len(service["features"]) == 13
    assert service["features"][0]["range"] and service["example"]["CRIM"] > 0


def test_the_examples_of_the_manifest_are_published_only_if_asked(folder: Path) -> None:
    manifest = json.loads((folder / "models" / "manifest.json").read_text())
    entries = manifest["models"].values()
    record = next(entry["example"]["instances"][0] for entry in entries)
    yes = {"DEPLOYER_PUBLISH_EXAMPLE": "yes"}

    def shown(**environment: str) -> Any:
        document = deployer(folder, "openapi", environment=environment).json
        body = document["paths"]["/"]["post"]["requestBody"]["content"]["application/json"]
        return body["examples"]["record"]

    assert shown(**yes) == {"summary": "one record, from the training", "value": record}
    assert shown()["summary"] == "one record, made up" and shown()["value"] != record
    assert shown()["value"].keys() == record.keys()
