"""MkDocs hooks: pages that stand outside of docs/, and links to files of the repository.

Pages link to files as they lie in the repository, so that their links work on GitHub, too. On the
site, a link to another page leads to that page, and a link to any other file leads to a page below
source/ that shows the file.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
# Files of the repository that are pages of the site, beside those of docs/.
PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "examples/README.md": "examples.md",
}
ORIGINS = {page: path for path, page in PAGES.items()}
SOURCE = "source/"
LANGUAGES = {".py": "python", ".json": "json", ".yml": "yaml", ".cfg": "ini"}
# Pages for those who change the tool: the search shows them last.
DEVELOPERS = {
    "architecture.md",
    "aws-behaviours.md",
    "changelog.md",
    "contributing.md",
    "performance.md",
}
_LINK = re.compile(r"\[([^][]*)\]\(([^)\s#:]+)(?=[)#])")
_FILE = re.compile(r"[\w/.-]+\.md")
_FENCE = re.compile(r"^(```.*?^```[^\S\n]*)$", re.MULTILINE | re.DOTALL)


def origin_of(page: str) -> str:
    """Return the path in the repository of a page of the site."""
    return ORIGINS.get(page, f"docs/{page}")


def page_of(path: str) -> str:
    """Return the path on the site of a file or folder of the repository.

    Raises:
        PluginError: the repository has nothing of that name.
    """
    if (ROOT / path / "README.md").is_file():
        path = f"{path}/README.md"
    if not (ROOT / path).exists():
        raise PluginError(f"a page links to {path}, which the repository does not have")
    if path in PAGES or path.startswith("docs/"):
        return PAGES.get(path, path.removeprefix("docs/"))
    page = f"source/{path}.md".replace("/.", "/")  # MkDocs leaves hidden files out
    ORIGINS[page] = path
    return page


def text_of(path: str) -> str:
    """Return Markdown for a file or folder of the repository, with the links that it has there."""
    place = ROOT / path
    if place.is_dir():
        files = sorted(
            file.relative_to(place).as_posix() for file in place.rglob("*") if file.is_file()
        )
        names = [name for name in files if "__pycache__" not in name]
        return f"# `{path}`\n\n" + "".join(f"- [{name}]({name})\n" for name in names)
    text = place.read_text(encoding="utf-8")
    if place.suffix == ".md":
        return text
    return f"# `{path}`\n\n````{LANGUAGES.get(place.suffix, 'text')}\n{text}\n````\n"


def each_link(text: str, change: Callable[[str, str], tuple[str, str]]) -> str:
    """Return Markdown in which words and targets of links to files are changed, not in code."""

    def changed(match: re.Match[str]) -> str:
        words, target = change(match[1], match[2])
        return f"[{words}]({target}"

    parts = _FENCE.split(text)
    parts[::2] = [_LINK.sub(changed, part) for part in parts[::2]]
    return "".join(parts)


def with_links(text: str, page: str, titles: Mapping[str, str] = {}) -> tuple[str, list[str]]:
    """Return the Markdown of a page, whose links lead to pages of the site, and these pages.

    A link whose words are the name of a file gets the page's title in their place.
    """
    path, here = origin_of(page), posixpath.dirname(page) or "."
    folder = path if (ROOT / path).is_dir() else posixpath.dirname(path)
    linked: list[str] = []

    def change(words: str, target: str) -> tuple[str, str]:
        linked.append(page_of(posixpath.normpath(posixpath.join(folder, target))))
        title = titles.get(linked[-1]) if _FILE.fullmatch(words) else None
        return title or words, posixpath.relpath(linked[-1], here)

    if path.endswith(".md") or folder == path:
        text = each_link(text, change)
    return text, linked


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that stand outside of docs/, and the files to which pages link."""
    for path, page in PAGES.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / path)))
    waiting = [file.src_uri for file in files.documentation_pages()]
    while waiting:
        _, linked = with_links(text_of(origin_of(waiting[-1])), waiting.pop())
        for page in linked:
            if page.startswith(SOURCE) and files.get_file_from_path(page) is None:
                files.append(File.generated(config, page, content=text_of(origin_of(page))))
                waiting.append(page)
    return files


def titles_in(nav: Any) -> dict[str, str]:
    """Return the title of each page of the navigation."""
    titles: dict[str, str] = {}
    for title, entry in (pair for item in nav for pair in item.items()):
        titles |= {entry: title} if isinstance(entry, str) else titles_in(entry)
    return titles


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead the links of a page to pages of the site, and say how the page shows in the search."""
    uri = page.file.src_uri
    if uri.startswith(SOURCE):
        page.meta["search"] = {"exclude": True}
    elif uri in DEVELOPERS:
        page.meta["search"] = {"boost": 0.05}
    elif uri == "index.md":
        page.meta["hide"] = ["navigation"]
    return with_links(markdown, uri, titles_in(config.nav))[0]
