"""The site builds without a warning, leads nowhere outside, and shows what the commands say."""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
import sys
import threading
from html import unescape
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml

from tests.support.projects import ROOT

# Whatever a browser fetches by itself; a link is followed by a person.
FETCHED = re.compile(
    r"<(?:script|img|iframe|source|object|embed)\b[^>]*?\s(?:src|data)=\"?([^\s\">]+)"
)
STYLES = re.compile(r"<link\b(?![^>]*rel=\"?canonical)[^>]*?\shref=\"?([^\s\">]+)")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "site"
    done = subprocess.run(
        # not --quiet: warnings that are not logged are not counted
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.xdist_group("site")
def test_every_page_stands_in_the_navigation(site: Path) -> None:
    built = {path.stem for path in site.glob("*.html")} - {"404"}
    written = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert built == written | {"index", "changelog", "contributing", "examples"}


@pytest.mark.xdist_group("site")
def test_nothing_comes_from_another_server(site: Path) -> None:
    pages = [path.read_text(encoding="utf-8") for path in site.rglob("*.html")]
    fetched = {
        unescape(url) for page in pages for url in FETCHED.findall(page) + STYLES.findall(page)
    }
    assert any(url.endswith(".css") for url in fetched) and any(".js" in url for url in fetched)
    assert {url for url in fetched if urlsplit(url).netloc} == set()
    for style in site.rglob("*.css"):
        assert not re.search(r"url\(\"?(?:https?:)?//", style.read_text(encoding="utf-8")), style
    # For such a block, Material fetches Mermaid from elsewhere.
    assert not any('class="mermaid"' in page for page in pages)


@pytest.mark.xdist_group("site")
def test_the_links_of_shown_files_lead_somewhere(site: Path) -> None:
    """MkDocs checks the links of Markdown; these are all of the built pages."""
    for path in site.rglob("*.html"):
        if path.name == "404.html":  # its links begin at the root of a server
            continue
        for link in re.findall(
            r"<a\b[^>]*?\shref=\"?([^\s\">]+)", path.read_text(encoding="utf-8")
        ):
            parts = urlsplit(unescape(link))
            if not parts.scheme and parts.path:
                assert (path.parent / unquote(parts.path)).exists(), f"{path.name}: {link}"


@pytest.mark.xdist_group("site")
def test_the_search_knows_pages_and_no_shown_files(site: Path) -> None:
    text = (site / "search" / "search_index.js").read_text(encoding="utf-8")
    index = json.loads(text.removeprefix("var __index = "))
    places = {entry["location"].partition("#")[0] for entry in index["docs"]}
    assert {"start.html", "reference.html", "settings.html"} <= places
    assert not any(place.startswith("source/") for place in places)


def test_the_commands_and_options_are_those_of_the_page() -> None:
    done = subprocess.run([sys.executable, "docs/write_reference.py", "--check"], cwd=ROOT)
    assert done.returncode == 0, "run python docs/write_reference.py"


class Server(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response({"/there": 200, "/moved": 302}.get(self.path, 404))
        if self.path == "/moved":
            self.send_header("Location", "/there")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_an_address_that_fails_is_listed_with_its_pages(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main = runpy.run_path(str(ROOT / "docs" / "check_links.py"))["main"]
    page = tmp_path / "page.md"
    with HTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_port}"
        page.write_text(f"[a]({base}/there#part) [b]({base}/moved) `{base}/code` [d](start.md)\n")
        assert main([str(page)]) == 0
        page.write_text(f"[a]({base}/there) [b]({base}/nowhere)\n")
        assert main([str(page)]) == 1
        server.shutdown()
    shown = f"page.md: {base}/nowhere: HTTP 404\n2 addresses, 1 failed\n"
    assert capsys.readouterr().out == f"2 addresses, 0 failed\n{shown}"


def test_the_workflow_publishes_what_make_builds() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "site.yml").read_text())
    assert workflow["permissions"] == {"contents": "read"}
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    assert [step["run"] for step in steps if "run" in step] == ["make site"]
    assert all(
        re.fullmatch(r"actions/[\w-]+@v\d+", step["uses"]) for step in steps if "uses" in step
    )
    assert all(job["timeout-minutes"] for job in workflow["jobs"].values())
