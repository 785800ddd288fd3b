"""Releases by the real command line and real HTTP: the commands of docs/releases.md, in order."""

from __future__ import annotations

import json
import re
import shlex
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.support.command_line import deployer
from tests.support.projects import ROOT

# The local AWS of `live` is shared, so one worker runs its tests.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("live")]

PAGE = (ROOT / "docs" / "releases.md").read_text()
SAMPLE = (ROOT / "samples" / "boston_housing.json").read_bytes()


def commands() -> list[list[str]]:
    """Return the arguments of each command that the page shows, in its order."""
    blocks = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    lines = [shlex.split(line) for block in blocks for line in block.splitlines()]
    assert all(line[:3] == ["python", "-m", "deployer"] for line in lines)
    return [line[3:] for line in lines]


def remember(folder: Path, memory_mb: int) -> None:
    path = folder / "setup.cfg"
    text = re.sub(r"\nmemory_mb = .*", "", path.read_text())
    path.write_text(text.replace("[deployer]", f"[deployer]\nmemory_mb = {memory_mb}"))


def predictions(url: str) -> Any:
    with urllib.request.urlopen(urllib.request.Request(url, SAMPLE, method="POST")) as response:
        record = json.loads(response.read())
    return [entry["predictions"] for entry in json.loads(record["output"])]


def test_the_page_goes_from_release_to_release(live: Path) -> None:
    url = deployer(live, "up", "--local").out.splitlines()[-1]
    first = predictions(url)
    remember(live, 512)
    deployer(live, "up", "--local")
    shown, back, again, canary, promoted = (
        deployer(live, *arguments, "--local") for arguments in commands()
    )
    assert re.search(r"^release 2, live  20\S+ \S+  by \S+\n    serves   linear_", shown.out, re.M)
    assert "    changed  linear_regression: memory 1024 MB -> 512 MB\n" in shown.out
    assert (back.out, again.out) == ("release 3\n", "release 3\n")
    assert "workflow: 3 new versions answer" in back.err
    assert "release 1 is what is live already" in again.err
    assert "as a canary: 10 % of the requests; the others stay with release 3" in canary.err
    assert promoted.out == "release 5\n"
    assert predictions(url) == first  # the same models, in more memory
    assert deployer(live, "plan", "--local", "--exit-code").code == 0
    document = deployer(live, "releases", "--local", "--json").json
    numbers = [(release["number"], release["live"]) for release in document["releases"]]
    assert numbers == [(5, True), (4, False), (3, False), (2, False), (1, False)]
    members = re.search(r'\{"releases": \[\{(.*?)\}\]\}', PAGE, re.DOTALL)
    assert members is not None
    names = set(re.findall(r'"(\w+)"', members[1])) - {"version", "metric"}
    assert names == document["releases"][0].keys()


def test_differences_canaries_and_refusals_are_said(live: Path) -> None:
    nothing = deployer(live, "releases", "--local", code=1)
    assert "there are no releases yet: nothing is deployed" in nothing.err
    deployer(live, "up", "--local")
    remember(live, 512)
    path = live / "state_machine.json"
    path.write_text(path.read_text().replace('"MaxAttempts": 3', '"MaxAttempts": 2'))
    deployer(live, "up", "--canary", "50", "--local", "--yes")
    both = deployer(live, "releases", "--local").out
    assert re.findall(r"^release \d, .*?requests", both, re.MULTILINE) == [
        "release 2, canary, 50 % of the requests",
        "release 1, live, 50 % of the requests",
    ]
    difference = deployer(live, "releases", "--diff", "1", "2", "--local")
    assert "workflow: changed" in difference.out
    assert '-                  "MaxAttempts": 3' in difference.out
    assert deployer(live, "releases", "--diff", "2", "2", "--local").out == (
        "release 2 and release 2 serve the same\n"
    )
    listed = deployer(live, "releases", "--diff", "1", "2", "--local", "--json").json
    assert (listed["from"], listed["to"]) == (1, 2) and listed["workflow"]
    plan = deployer(live, "plan", "--local", "--exit-code")
    assert "release 2 is a canary: 50 % of the requests, the others to release 1" in plan.err
    refused = deployer(live, "up", "--local", "--yes", code=1)
    assert "deployer promote --local" in refused.err and "rollback --local" in refused.err
    declined = deployer(live, "promote", "--local", code=1)
    assert "refusing to switch workflow without a terminal to confirm" in declined.err
    unknown = deployer(live, "rollback", "--to", "9", "--local", "--json", code=1)
    assert unknown.json["error"]["type"] == "ReleaseUnavailable"
    for share in ("0", "100"):
        usage = deployer(live, "up", "--canary", share, "--local", code=2)
        assert f"{share} is not in the range 1<=x<=99" in usage.err
    back = deployer(live, "rollback", "--local", "--yes", "--json").json
    assert back["outputs"]["release"] == 3
    assert [change["resource"] for change in back["changes"]] == ["workflow"]
    forward = deployer(live, "up", "--local", code=1)
    assert "live is release 3, back to 1; this folder would make release 4" in forward.err
    assert "refusing to switch workflow" in forward.err
