"""What a page in a real browser can do to the local AWS: call deployed APIs, and nothing else."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from deployer.local import process
from tests.support.accounts import connect
from tests.support.processes import deployer
from tests.support.stub import Quiet, serve

pytestmark = pytest.mark.slow

# Without the flags about the background, Chromium calls home at its start.
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--virtual-time-budget=20000",
    "--dump-dom",
]

# A page of another origin, and one that DNS rebinding has put at this server's address; each tries
# what it should not.
PAGE = """<!DOCTYPE html><title>a page</title><pre id="out"></pre><script>
const attempts = {
  reset: ["POST", "/moto-api/reset", {}, ""],
  reset_ours: ["POST", "/_deployer/reset", {}, ""],
  identity: ["POST", "/", {"Content-Type": "application/x-www-form-urlencoded"},
             "Action=GetCallerIdentity&Version=2011-06-15"],
  object: ["PUT", "/inference-dev-123456789012-us-east-1/models/x.joblib", {}, "pickle"],
  form: ["POST", "/inference-dev-123456789012-us-east-1", {"Content-Type": "text/plain"}, "key=x"],
  functions: ["GET", "/2015-03-31/functions", {}, undefined],
  api: ["POST", PATH, {"Content-Type": "application/json"}, SAMPLE],
};
(async () => {
  const found = {};
  for (const [name, [method, path, headers, body]] of Object.entries(attempts))
    for (const mode of ["cors", "no-cors"])
      try {
        const answer = await fetch(BASE + path, {method, headers, body, mode});
        const text = (await answer.text()).slice(0, 400);
        found[name + " " + mode] = [answer.type, answer.status, text];
      } catch (error) { found[name + " " + mode] = ["error", 0, String(error)]; }
  document.getElementById("out").textContent = JSON.stringify(found);
})();
</script>"""


def browse(url: str, home: Path, *flags: str) -> dict[str, list[Any]]:
    """Open a page, and return what it found: type, status and beginning of each answer."""
    chromium = (
        shutil.which("chromium")
        or shutil.which("chromium-browser")
        or shutil.which("google-chrome")
    )
    if chromium is None:
        assert not os.environ.get("CI"), "CI must have a browser"
        pytest.skip("no Chromium is installed")
    command = [chromium, *FLAGS, f"--user-data-dir={home}", *flags, url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    (out,) = re.findall(r'<pre id="out">(.*?)</pre>', done.stdout, re.DOTALL)
    assert out, done.stderr[-2000:]
    found: dict[str, list[Any]] = json.loads(
        out.replace("&quot;", '"').replace("&lt;", "<").replace("&amp;", "&")
    )
    return found


def test_a_page_can_call_the_api_and_nothing_else(deployed: Path, tmp_path: Path) -> None:
    """From another origin, and from a name that was made to mean this machine (DNS rebinding)."""
    server = process.find(deployed)
    assert server is not None
    address, port = server.url, server.port
    before = picture(server)
    url = deployer(deployed, "plan", "--local", "--json").json["outputs"]["url"]
    sample = (deployed / "samples" / "boston_housing.json").read_text()

    class Site(Quiet):
        base = ""

        def handle_any(self) -> None:
            page = PAGE.replace("BASE", json.dumps(self.base)).replace(
                "PATH", json.dumps(url.removeprefix(address))
            )
            self.answer(
                200,
                page.replace("SAMPLE", json.dumps(sample)).encode(),
                {"Content-Type": "text/html"},
            )

    class Foreign(Site):
        base = address

    class Rebound(Site):
        base = f"http://evil.example:{port}"

    with serve(Foreign) as site:
        found = browse(site, tmp_path / "foreign")
    assert (
        found["api cors"][:2] == ["cors", 200] and '"status": "SUCCEEDED"' in found["api cors"][2]
    )
    assert all(
        kind in ("error", "opaque")
        for name, (kind, _, _) in found.items()
        if not name.startswith("api")
    )
    assert picture(server) == before
    with serve(Rebound) as site:
        rules = "--host-resolver-rules=MAP evil.example 127.0.0.1"
        found = browse(site.replace("127.0.0.1", "evil.example"), tmp_path / "rebound", rules)
    assert all(
        kind in ("error", "opaque")
        for name, (kind, _, _) in found.items()
        if not name.startswith("api")
    )
    assert picture(server) == before


def picture(server: process.Server) -> tuple[list[str], list[str]]:
    aws = connect(server)
    bucket = "inference-dev-123456789012-us-east-1"
    objects = [
        each["Key"] for each in aws.pages("s3", "list_objects_v2", "Contents", Bucket=bucket)
    ]
    return objects, sorted(
        each["FunctionName"] for each in aws.pages("lambda", "list_functions", "Functions")
    )
