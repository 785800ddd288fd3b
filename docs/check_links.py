"""Ask every address on another server that the documentation names, and list those that fail.

python docs/check_links.py [FILE...]    by default, the pages of the site

It needs a network, so it is no part of the tests; `make links` runs it. It ends with 1 if an
address failed.
"""

from __future__ import annotations

import re
import sys
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Only links of Markdown: addresses in code are examples.
_LINK = re.compile(r"\]\((https?://[^)\s]+)\)")
_TIMEOUT_S = 20
_BROWSER = {"User-Agent": "Mozilla/5.0 (link check)"}  # some servers answer no other client


def pages() -> Iterator[Path]:
    yield from ROOT.glob("*.md")
    yield from (ROOT / "docs").glob("*.md")
    yield from (ROOT / "examples").rglob("*.md")


def addresses(paths: Iterable[Path]) -> dict[str, list[str]]:
    """Return the addresses in pages, without fragments, each with the pages that name it."""
    named: dict[str, list[str]] = {}
    for path in sorted(paths):
        for address in _LINK.findall(path.read_text(encoding="utf-8")):
            named.setdefault(address.partition("#")[0], []).append(path.name)
    return named


def fault(address: str) -> str:
    """Return why an address cannot be read, or nothing if it can."""
    request = urllib.request.Request(address, headers=_BROWSER)
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:
            response.read(1)
    except urllib.error.HTTPError as error:
        return f"HTTP {error.code}"
    except (OSError, ValueError) as error:
        return str(getattr(error, "reason", error))
    return ""


def main(arguments: list[str]) -> int:
    named = addresses(map(Path, arguments) if arguments else pages())
    with ThreadPoolExecutor(8) as pool:
        faults = dict(zip(named, pool.map(fault, named), strict=True))
    for address, reason in faults.items():
        if reason:
            print(f"{', '.join(dict.fromkeys(named[address]))}: {address}: {reason}")
    failed = sum(map(bool, faults.values()))
    print(f"{len(named)} addresses, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
