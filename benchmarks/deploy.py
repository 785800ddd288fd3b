"""Measure how long a deploy takes, compared with a program that makes only the necessary calls.

    python benchmarks/deploy.py [--latency-ms 50] [--rounds 5] [--api http]

Starts the local AWS behind a proxy that counts requests and adds a fixed latency to each, without
delaying concurrent ones by one another. Runs `python -m deployer` and the bound alternately, each
in a new process: a first `up`, `up` with nothing changed, `plan`, `up` with one model changed,
`rollback`, `down`. All are without the proof, which invokes each new version of a function. The
bound is a program that uses boto3 without plan, checks or report: it makes the writing calls of
the same resources, in parallel as far as their dependencies allow, or all of their reading calls
at once. Its imports and its making of clients count.

Prints medians of wall time as ratios to the bound's (smallest to largest), CPU time likewise,
requests, connections, and the longest chain: the most requests of which each began after the
previous one had ended. Then requests by action.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import http.server
import json
import os
import pickle
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from project import copy_project, open_account, reset

STEPS = ("first up", "nothing changed", "plan", "one model changed", "rollback", "down")
COMMANDS = {
    "first up": ["up", "--no-proof"],
    "nothing changed": ["up", "--no-proof"],
    "plan": ["plan"],
    "one model changed": ["up", "--no-proof"],
    "rollback": ["rollback", "--no-proof", "--yes"],
    "down": ["down", "--yes"],
}
REST_NOUNS = {
    "functions",
    "versions",
    "configuration",
    "code",
    "tags",
    "apis",
    "integrations",
    "routes",
    "stages",
}
S3_PARTS = {
    "tagging",
    "encryption",
    "publicAccessBlock",
    "ownershipControls",
    "policy",
    "versions",
    "delete",
    "list-type",
}
READING = ("get_", "list_", "describe_", "head_", "batch_get_", "batch_check_")
CLIENT = {"region_name": "us-east-1"}
# The parameters that hold an id which AWS chose for the API, and the call that tells it.
API_IDS = {"ApiId": "get_apis", "restApiId": "get_rest_apis"}


# ---- the proxy


@dataclass
class Count:
    """The traffic through the proxy since the last reading."""

    spans: list[tuple[float, float]] = field(default_factory=list)
    actions: Counter[str] = field(default_factory=Counter)
    connections: int = 0

    @property
    def chain(self) -> int:
        """The most requests of which each began after the previous one had ended."""
        length, free = 0, 0.0
        for begun, ended in sorted(self.spans, key=lambda span: span[1]):
            if begun >= free:
                length, free = length + 1, ended
        return length


def action(method: str, path: str, headers: Any, body: bytes) -> str:
    """Name a request by its action, or by method and path if the protocol has no actions.

    Names of resources are left out of the path.
    """
    service = headers.get("Authorization", "////").split("/")[3]
    named = (
        headers.get("X-Amz-Target", "").rpartition(".")[2]
        or parse_qs(body.decode("latin-1")).get("Action", [""])[0]
    )
    if named:
        return f"{service} {named}"
    place, _, query = path.partition("?")
    kept = (
        part if part in REST_NOUNS or re.fullmatch(r"20[0-9-]{8}|v2", part) else "*"
        for part in place.split("/")[1:]
    )
    asked = "&".join(sorted(set(parse_qs(query, keep_blank_values=True)) & S3_PARTS))
    return f"{service} {method} /{'/'.join(kept)}{'?' + asked if asked else ''}"


class Proxy:
    def __init__(self, port: int, latency_s: float) -> None:
        self.count = Count()
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1

            def setup(self) -> None:
                super().setup()
                proxy.count.connections += 1
                self.behind = http.client.HTTPConnection("127.0.0.1", port)

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                # With --local the server is asked who it is, too: that is no call of AWS.
                asked = not self.path.startswith("/_deployer/")
                begun = time.monotonic()
                time.sleep(latency_s if asked else 0)
                headers = {
                    name: value for name, value in self.headers.items() if name.lower() != "host"
                }
                self.behind.request(self.command, self.path, body, headers)
                answer = self.behind.getresponse()
                content = answer.read()
                if asked:
                    proxy.count.actions[action(self.command, self.path, self.headers, body)] += 1
                    proxy.count.spans.append((begun, time.monotonic()))
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in ("content-length", "connection", "date", "server"):
                        self.send_header(name, value)
                length = (
                    answer.getheader("Content-Length")
                    if self.command == "HEAD"
                    else str(len(content))
                )
                self.send_header("Content-Length", length or "0")
                self.end_headers()
                self.wfile.write(content)
                self.wfile.flush()

            do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = do_HEAD = lambda self: (
                self.handle_any()
            )  # noqa: E731

            def log_message(self, format: str, *values: Any) -> None:
                """Say nothing."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self.server.server_port)

    def taken(self) -> Count:
        count, self.count = self.count, Count()
        return count


# ---- the bound


@dataclass
class Calls:
    """The calls of every step by resource, and the resources that each resource needs first.

    `reads` are those of the account by `up` and `plan`, `of_releases` those of `rollback`.
    """

    needs: dict[str, list[str]]
    writes: dict[str, dict[str, list[tuple[str, str, dict[str, Any]]]]]
    reads: list[tuple[str, str, dict[str, Any]]]
    of_releases: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)


def record(folder: Path, url: str) -> Calls:
    """Deploy and delete once with the tool's own resources in sequence, recording their calls."""
    from dataclasses import replace

    from deployer.aws.access import Aws
    from deployer.engine.apply import needs_of
    from deployer.engine.graph import in_order
    from deployer.engine.plan import Change, compare, resolve
    from deployer.images.context import NO_BASE
    from deployer.project.settings import load_settings
    from deployer.service import declare
    from deployer.service.inventory import find_functions
    from deployer.service.release import load_release
    from deployer.service.switching import plan_rollback

    made: list[tuple[str, str, dict[str, Any]]] = []

    account = Aws(region="us-east-1", endpoint_url=url)

    def call_once(service: str, operation: str, **parameters: Any) -> Any:
        made.append((service, operation, parameters))
        return account.call_once(service, operation, **parameters)

    aws = account.calling(call_once)

    def taken(reading: bool) -> list[tuple[str, str, dict[str, Any]]]:
        selected = [call for call in made if call[1].startswith(READING) is reading]
        made.clear()
        return selected

    located = load_settings(folder, {}, os.environ).located(
        account="123456789012", partition="aws", region="us-east-1"
    )
    settings = replace(located, base_image=NO_BASE, proof=False)
    resources = {one.key: one for one in declare.declare(settings, load_release(settings))}
    needs = {key: list(others) for key, others in needs_of(resources.values()).items()}
    calls = Calls(needs, defaultdict(dict), [("sts", "get_caller_identity", {})])
    outputs: dict[str, Any] = {}

    def desired(declared: Any) -> Any:
        return resolve(declared.fields, lambda ref: outputs[ref.key][ref.output])

    for key in in_order(needs):
        outputs[key] = resources[key].create(aws, desired(resources[key]))
        calls.writes["first up"][key] = taken(reading=False)
    with ThreadPoolExecutor(1) as pool:
        find_functions(aws, settings, pool, load_release(settings).names)()
    for declared in resources.values():
        declared.read(aws)
    calls.reads += taken(reading=True)
    change_model(folder, "bound")
    after = {one.key: one for one in declare.declare(settings, load_release(settings))}
    for key in ("model/linear_regression", "function/linear_regression", "workflow"):
        state = after[key].read(aws)
        made.clear()
        if state is None:
            outputs[key] = after[key].create(aws, desired(after[key]))
        else:
            change = Change(key, "update", compare(desired(after[key]), state.fields))  # type: ignore[arg-type]
            outputs[key] = {
                **state.outputs,
                **after[key].update(aws, desired(after[key]), state, change),
            }
        calls.writes["one model changed"][key] = taken(reading=False)
    with ThreadPoolExecutor(1) as pool:
        switch = plan_rollback(aws, settings, pool, lambda event: None)
        calls.of_releases += taken(reading=True)
        switch.apply(lambda: False)
        calls.writes["rollback"]["workflow"] = taken(reading=False)
    for key in reversed(in_order(needs)):
        resources[key].delete(aws)
        calls.writes["down"][key] = taken(reading=False)
    return calls


def bound(step: str, url: str, calls: Calls) -> None:
    """Make only the calls of a step."""
    import boto3
    from botocore.config import Config

    session = boto3.Session(**CLIENT)
    lock = threading.Lock()
    clients: dict[str, Any] = {}
    ids: dict[str, str] = {}

    def call(service: str, operation: str, parameters: dict[str, Any]) -> None:
        with lock:
            if service not in clients:
                clients[service] = session.client(
                    service, endpoint_url=url, config=Config(max_pool_connections=32)
                )
        known = {name: ids.get(name, value) for name, value in parameters.items()}
        if "IntegrationId" in ids and "Target" in known:
            known["Target"] = f"integrations/{ids['IntegrationId']}"
        try:
            answer = getattr(clients[service], operation)(**known)
        except clients[service].exceptions.ClientError:  # "not configured" is an answer, too
            return
        ids.update(told_ids(operation, answer))

    with ThreadPoolExecutor(32) as pool:
        if step in ("nothing changed", "plan", "one model changed"):
            _read(calls.reads, pool, call)
        if step == "rollback":
            list(pool.map(lambda read: call(*read), calls.of_releases))
        if step == "down":
            is_rest = os.environ["DEPLOYER_API"] == "rest"
            service = "apigateway" if is_rest else "apigatewayv2"
            call(service, "get_rest_apis" if is_rest else "get_apis", {})
        _in_order(step, calls, pool, call)


def told_ids(operation: str, answer: dict[str, Any]) -> dict[str, str]:
    """Return the ids of an answer by the parameters that take them; of a listing, the first's."""
    one = {**answer, **(answer.get("Items") or answer.get("items") or [{}])[0]}
    if operation in ("create_rest_api", "get_rest_apis"):
        return {"restApiId": one["id"]} if "id" in one else {}
    if operation == "create_deployment":
        return {"deploymentId": one["id"]}
    shown = one if operation == "get_apis" else answer
    return {
        name: shown[name] for name in ("ApiId", "IntegrationId") if isinstance(shown.get(name), str)
    }


def _read(
    reads: list[tuple[str, str, dict[str, Any]]], pool: ThreadPoolExecutor, call: Any
) -> None:
    """Make reading calls all at once, but for those that wait for the API's id."""
    last = [read for read in reads if API_IDS.keys() & read[2].keys()]
    first = [read for read in reads if read not in last]
    listings = {API_IDS[name] for read in last for name in API_IDS.keys() & read[2].keys()}
    first.sort(key=lambda read: read[1] not in listings)
    begun = {read[1]: pool.submit(partial(call, *read)) for read in first}
    for listing in listings:
        begun[listing].result()
    list(pool.map(lambda read: call(*read), last))
    for future in begun.values():
        future.result()


def _in_order(step: str, calls: Calls, pool: ThreadPoolExecutor, call: Any) -> None:
    """Make a resource's writing calls after those of the resources that it needs.

    `down` goes in the opposite direction.
    """
    writes = calls.writes.get(step, {})
    needs: dict[str, list[str]] = {key: [] for key in calls.needs}
    for key, needed in calls.needs.items():
        for other in needed:
            if step == "down":
                needs[other].append(key)
            else:
                needs[key].append(other)
    done = {key: threading.Event() for key in needs}

    def make(key: str) -> None:
        for other in needs[key]:
            done[other].wait()
        for write in writes.get(key, ()):
            call(*write)
        done[key].set()

    with ThreadPoolExecutor(len(needs)) as walkers:
        list(walkers.map(make, needs))


# ---- the runs


def change_model(folder: Path, mark: str) -> None:
    """Change the model linear_regression, as retraining would."""
    path, described = (
        folder / "models" / "linear_regression.joblib",
        folder / "models" / "manifest.json",
    )
    path.write_bytes(path.read_bytes() + mark.encode())
    manifest = json.loads(described.read_text())
    manifest["models"]["linear_regression"]["sha256"] = hashlib.sha256(
        path.read_bytes()
    ).hexdigest()
    described.write_text(json.dumps(manifest))


@dataclass
class Run:
    wall_s: float
    cpu_s: float
    requests: int
    connections: int
    chain: int
    actions: Counter[str]


def timed(command: list[str], folder: Path, proxy: Proxy) -> Run:
    proxy.taken()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    count = proxy.taken()
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Run(wall, cpu, len(count.spans), count.connections, count.chain, count.actions)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--latency-ms", type=float, default=50)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--api", choices=("http", "rest"), default="http")
    parser.add_argument(
        "--bound", nargs=3, metavar=("STEP", "URL", "CALLS"), help=argparse.SUPPRESS
    )
    options = parser.parse_args()
    if options.bound:
        step, url, path = options.bound
        bound(step, url, pickle.loads(Path(path).read_bytes()))
        return
    os.environ["DEPLOYER_API"] = options.api  # of the commands and of the bound
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        runs = measure(Path(name).resolve(), options.latency_ms / 1000, options.rounds)
    show(runs, options)


def measure(folder: Path, latency_s: float, rounds: int) -> dict[tuple[str, str], list[Run]]:
    from deployer.local import process

    copy_project(folder)
    trained = {path: path.read_bytes() for path in (folder / "models").iterdir()}
    server = process.start(folder)
    open_account(server)
    try:
        proxy = Proxy(server.port, latency_s)
        url = f"http://127.0.0.1:{proxy.port}"
        known = folder / "calls.pickle"
        calls = record(folder, server.url)
        calls.writes = dict(calls.writes)
        known.write_bytes(pickle.dumps(calls))
        claim = folder / ".deployer" / "local" / "server.json"
        claim.write_text(json.dumps({**json.loads(claim.read_text()), "port": proxy.port}))
        runs: dict[tuple[str, str], list[Run]] = defaultdict(list)
        for _ in range(rounds):
            for who in ("bound", "deployer"):
                reset(server)
                for path, content in trained.items():
                    path.write_bytes(content)
                for step in STEPS:
                    if step == "one model changed":
                        change_model(folder, "bound")
                    if who == "bound":
                        command = [
                            sys.executable,
                            os.fspath(Path(__file__).resolve()),
                            "--bound",
                            step,
                            url,
                            str(known),
                        ]
                    else:
                        command = [sys.executable, "-m", "deployer", *COMMANDS[step], "--local"]
                        keep(server.url)
                    runs[who, step].append(timed(command, folder, proxy))
        return runs
    finally:
        process.stop(folder)


def keep(url: str) -> None:
    """Create a bucket that is not the service's: `down --local` then keeps the server running."""
    import boto3

    boto3.client("s3", endpoint_url=url, **CLIENT).create_bucket(Bucket="kept")


def show(runs: dict[tuple[str, str], list[Run]], options: Any) -> None:
    print(
        f"{options.rounds} rounds, {options.latency_ms:g} ms added to each request; times in "
        f"units of the bound's median\n"
    )
    print("| | wall | CPU | requests | connections | longest chain |")
    print("| --- | --- | --- | --- | --- | --- |")
    for step in STEPS:
        unit = {
            "wall_s": statistics.median(run.wall_s for run in runs["bound", step]),
            "cpu_s": statistics.median(run.cpu_s for run in runs["bound", step]),
        }
        for who in ("deployer", "bound"):
            own = runs[who, step]
            ratios = {
                name: sorted(getattr(run, name) / value for run in own)
                for name, value in unit.items()
            }
            wall, cpu = (
                f"{statistics.median(values):.2f} ({values[0]:.2f} to {values[-1]:.2f})"
                for values in ratios.values()
            )
            last = own[-1]
            print(
                f"| {step}: {who} | {wall} | {cpu} | {last.requests} | {last.connections} | "
                f"{last.chain} |"
            )
    for step in STEPS:
        print(f"\n{step}: requests of the deployer, of the bound")
        ours, bounds = runs["deployer", step][-1].actions, runs["bound", step][-1].actions
        for name in sorted(ours | bounds):
            print(f"  {ours[name]:3} {bounds[name]:3}  {name}")


if __name__ == "__main__":
    main()
