"""Time the handler side by side with a usual one and with one that does nothing.

    python benchmarks/inference.py [--rounds 7] [--cpus 1,0.58] [--base IMAGE]
    python benchmarks/inference.py --memory [--rounds 7] [--base IMAGE]

With a Docker engine every handler runs in its own image on AWS's base (or another, --base), with
that share of CPUs: first in the measuring program, which times the handler itself, then under
Lambda's own emulator, over HTTP. Without an engine the program runs in bare processes, and then
under Lambda's runtime client. All handlers fetch the model from an S3 on the same machine.

Prints how many times longer the usual handler takes: medians of the rounds' ratios, smallest to
largest in brackets. "Beyond the empty one" is the same ratio after the empty handler's median, the
time of the runtime and of HTTP, is subtracted from both. --memory runs our handler alone, with the
CPU and memory that Lambda gives to functions of several sizes. Not measured: Lambda's provisioning
of an environment, TLS, and the network to S3.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import handlers
from containers import Images
from handlers import COUNTS, MODULES, ROOT
from project import copy_project

SHIPPED = ("linear_regression", "random_forest", "support_vector")
Figures = dict[str, float]
SIZES_MB = (128, 256, 512, 1024, 1769, 3008)
FULL_CPU_MB = 1769  # where a function has one CPU (AWS Lambda's documentation: configuring memory)
PRICE_GB_S, PRICE_REQUEST = (
    0.0000166667,
    0.0000002,
)  # dollars, x86_64, us-east-1 (AWS Lambda pricing)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument(
        "--cpus", default="1,0.58", help="shares of CPUs; a function of 1024 MB has 0.58"
    )
    parser.add_argument("--base", default="public.ecr.aws/lambda/python:3.11")
    parser.add_argument("--memory", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        folder = Path(name).resolve()
        handlers.write_files(folder)
        (folder / "project").mkdir()
        copy_project(folder / "project")
        handlers.train_others(folder / "project" / "models")
        with ExitStack() as stack:
            engine = find_engine()
            if engine is None and options.memory:
                sys.exit("--memory needs a Docker engine, to give a function its share of CPU")
            if engine is None:
                print("no Docker engine answers: bare processes, with all CPUs\n")
                compare(stack.enter_context(Processes.opened(folder)), [None], options.rounds)
                return
            images = stack.enter_context(Images.opened(engine, folder, options.base))
            if options.memory:
                compare_sizes(images, folder, options.rounds)
                return
            print(f"in containers on {options.base}\n")
            compare(images, [float(share) for share in options.cpus.split(",")], options.rounds)
            images.show_sizes()


def find_engine() -> Any:
    import docker
    import requests

    try:
        client = docker.from_env(timeout=600)
        client.ping()
    except (docker.errors.DockerException, requests.RequestException):
        return None
    return client


# ---- the handler's own times, in containers or in bare processes


def compare(place: Any, shares: list[float | None], rounds: int) -> None:
    manifest = json.loads((place.folder / "project" / "models" / "manifest.json").read_text())
    for cpus in shares:
        said = "" if cpus is None else f", {cpus:g} CPUs"
        for model in manifest["models"]:
            results: dict[str, list[Figures]] = {name: [] for name in MODULES}
            furthest = 0.0
            for _ in range(rounds):
                answers = {}
                for name in MODULES:
                    figures, answers[name] = place.measure(
                        name, handlers.environment(model, manifest, place.url), cpus
                    )
                    results[name].append(figures)
                pairs = zip(flat(answers["usual"]), flat(answers["ours"]), strict=True)
                furthest = max(furthest, *(abs(usual - ours) for usual, ours in pairs))
            show(f"{model}{said}: largest difference {furthest:.1e}", results)
        show_wall(
            f"the emulator{said}" if cpus else "the runtime client", place, manifest, cpus, rounds
        )


def flat(answer: list[Any]) -> list[float]:
    """Return the numbers of an answer; a classifier's has a list for each record."""
    return [
        number for value in answer for number in (value if isinstance(value, list) else [value])
    ]


def show(title: str, results: dict[str, list[Figures]]) -> None:
    print(title)
    rounds = list(zip(results["usual"], results["ours"], results["empty"], strict=True))
    for figure in results["ours"][0]:
        ratios = [usual[figure] / ours[figure] for usual, ours, _ in rounds]
        part = statistics.median(empty[figure] / ours[figure] for _, ours, empty in rounds)
        print(f"  {figure:14} {spread(ratios):24} empty: {part:.2f} of ours")
    print(flush=True)


def spread(ratios: list[float], digits: int = 1) -> str:
    return (
        f"{statistics.median(ratios):5.{digits}f} ({min(ratios):.{digits}f} to "
        f"{max(ratios):.{digits}f})"
    )


# ---- over HTTP: one model after another, and the three at once


def show_wall(
    runtime: str, place: Any, manifest: dict[str, Any], cpus: float | None, rounds: int
) -> None:
    rows: dict[str, dict[str, list[float]]] = {name: {} for name in MODULES}
    for _ in range(rounds):
        for name in MODULES:
            with ExitStack() as stack:
                running = {
                    model: stack.enter_context(
                        place.serving(name, handlers.environment(model, manifest, place.url), cpus)
                    )
                    for model in SHIPPED
                }
                for row, seconds in measure_wall(running, cpus):
                    rows[name].setdefault(row, []).append(seconds)
    print(
        f"through {runtime}: usual to ours; the same beyond the empty one; the empty one as a part "
        f"of ours"
    )
    for row, ours in rows["ours"].items():
        usual, empty = rows["usual"][row], rows["empty"][row]
        floor = statistics.median(empty)
        more = statistics.median(usual) - floor, statistics.median(ours) - floor
        shown = f"{more[0] / more[1]:.1f}" if more[1] > 0.05 * floor else "ours is as the empty one"
        whole = spread([a / b for a, b in zip(usual, ours, strict=True)])
        print(f"  {row:38} {whole:24} {shown:24} {floor / statistics.median(ours):.2f}")
    print(flush=True)


def measure_wall(
    running: dict[str, Callable[[Any], Any]], cpus: float | None
) -> Iterator[tuple[str, float]]:
    """Yield (row, seconds) for the first request of every model, then for later ones.

    The first request includes the cold start.
    """
    records = handlers.records(1000)
    for model, call in running.items():
        yield f"{model}, cold", timed(call, {"instances": records[:1]})
    for model, call in running.items():
        for count in COUNTS:
            times = repeated(
                partial(timed, call, {"instances": records[:count]}),
                60 if count < 1000 else 20,
                cpus,
            )
            yield f"{model}, {count} p50", statistics.median(times)
            yield f"{model}, {count} p99", sorted(times)[int(len(times) * 0.99)]
    with ThreadPoolExecutor(len(running)) as pool:

        def at_once() -> float:
            begun = time.perf_counter()
            list(pool.map(lambda call: call({"instances": records[:1]}), running.values()))
            return time.perf_counter() - begun

        yield "three at once, p50", statistics.median(repeated(at_once, 60, cpus))


def timed(call: Callable[[Any], Any], event: Any) -> float:
    begun = time.perf_counter()
    call(event)
    return time.perf_counter() - begun


def repeated(call: Callable[[], float], times: int, cpus: float | None) -> list[float]:
    """Return the durations of calls, pausing between them.

    The pauses keep a container within its share of CPU.
    """
    durations = []
    for _ in range(times):
        durations.append(call())
        if cpus is not None and cpus < 1:
            time.sleep(durations[-1] * (1 / cpus - 1))
    return durations


# ---- bare processes


class Processes:
    """Handlers in processes of this machine."""

    def __init__(self, folder: Path, url: str, site: str) -> None:
        self.folder, self.url, self._site = folder, url, site

    @classmethod
    @contextmanager
    def opened(cls, folder: Path) -> Iterator[Processes]:
        """Install pandas for the usual handler alone.

        Ours must not find it: scikit-learn imports pandas where it is installed.
        """
        site = folder / "site-usual"
        options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--target", str(site)]
        needed = ["pandas", "python-dateutil", "pytz", "tzdata", "six"]
        subprocess.run([sys.executable, "-m", "pip", "install", *options, *needed], check=True)
        models, server_py = folder / "project" / "models", ROOT / "benchmarks" / "storage_server.py"
        program = [sys.executable, str(server_py), str(models), "127.0.0.1", "0"]
        with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            try:
                yield cls(folder, f"http://127.0.0.1:{server.stdout.readline().strip()}", str(site))
            finally:
                server.terminate()

    def _paths(self, name: str) -> dict[str, str]:
        paths = [
            str(self.folder),
            str(ROOT / "lambda_src"),
            *([self._site] if name == "usual" else []),
        ]
        return {"PYTHONPATH": os.pathsep.join(paths)}

    def measure(
        self, name: str, variables: dict[str, str], cpus: float | None
    ) -> tuple[Figures, list[float]]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
        environment = {
            **kept,
            **variables,
            **self._paths(name),
            "AWS_LAMBDA_RUNTIME_API": "benchmark",
        }
        command = [
            sys.executable,
            "-c",
            handlers.PROGRAM,
            MODULES[name],
            str(self.folder / "records.json"),
        ]
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        figures, answer = json.loads(done.stdout.splitlines()[-1])
        return figures, answer

    @contextmanager
    def serving(
        self, name: str, variables: dict[str, str], cpus: float | None
    ) -> Iterator[Callable[[Any], Any]]:
        """Run the handler under Lambda's runtime client, with the local AWS's Runtime API."""
        from deployer.local.functions import Functions
        from deployer.local.invocation import Version
        from deployer.local.process import Credentials

        code = ROOT / "lambda_src" if name == "ours" else self.folder
        command = f"{MODULES[name]}.handler"
        arn = f"arn:aws:lambda:us-east-1:123456789012:function:{name}:1"
        version = Version(
            arn, name, "1", code, command, {**variables, **self._paths(name)}, 60.0, 1024
        )
        functions = Functions(
            self.folder,
            self.url,
            lambda region, group, stream, lines: None,
            Credentials("key", "secret"),
        )

        def call(event: Any) -> Any:
            response = functions.invoke(version, json.dumps(event).encode())
            assert not response.is_error, response.payload
            return json.loads(response.payload)

        try:
            yield call
        finally:
            functions.close()


# ---- sizes of functions


def compare_sizes(images: Images, folder: Path, rounds: int) -> None:
    """Print times and the cost of a million requests for every size of a function.

    Times are medians over the three models.
    """
    manifest = json.loads((folder / "project" / "models" / "manifest.json").read_text())
    results: dict[int, dict[str, list[float]]] = {size: {} for size in SIZES_MB}
    for _ in range(rounds):
        for size in SIZES_MB:
            cpus = size / FULL_CPU_MB
            for model in SHIPPED:
                variables = handlers.environment(model, manifest, images.url)
                with images.serving("ours", variables, cpus, memory_mb=size) as call:
                    for row, seconds in measure_wall({model: call}, cpus):
                        results[size].setdefault(row.partition(", ")[2], []).append(seconds)
    print(
        "| `memory_mb` | CPUs | cold | 1 record | 100 | 1,000 | 1,000, p99 | $ per million "
        "requests, 1 record | 1,000 |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    unit = {row: statistics.median(times) for row, times in results[1024].items()}
    for size, rows in results.items():
        part = {
            row: spread([seconds / unit[row] for seconds in times], digits=2)
            for row, times in rows.items()
        }
        costs = [cost(statistics.median(rows[f"{count} p50"]), size) for count in (1, 1000)]
        shown = " | ".join(
            part[row].strip() for row in ("cold", "1 p50", "100 p50", "1000 p50", "1000 p99")
        )
        print(f"| {size} | {size / FULL_CPU_MB:.2f} | {shown} | {costs[0]:.2f} | {costs[1]:.2f} |")
    print(f"\nrecommended: {recommended(results)} MB")
    print(
        "\nTimes in units of the 1024 MB function's, medians over the three models; dollars for "
        "one function."
    )


def recommended(results: dict[int, dict[str, list[float]]]) -> int:
    """Return the smallest size whose times are all less than twice those of the largest."""
    medians = {
        size: {row: statistics.median(times) for row, times in rows.items()}
        for size, rows in results.items()
    }
    best = {
        row: seconds
        for row, seconds in medians[max(medians)].items()
        if row == "cold" or row.endswith("p50")
    }
    return min(
        size for size, own in medians.items() if all(own[row] < 2 * best[row] for row in best)
    )


def cost(seconds: float, size: int) -> float:
    """Return the dollars for a million requests.

    AWS charges memory by the millisecond, and a fee for every request.
    """
    return 1e6 * (math.ceil(1000 * seconds) / 1000 * size / 1024 * PRICE_GB_S + PRICE_REQUEST)


if __name__ == "__main__":
    main()
