"""Measure the time that the local AWS adds to a request, and how long it takes to start.

    python benchmarks/local.py [--rounds 5] [--requests 200]

Deploys the service with `up --local` and sends the sample over one connection: through the HTTP
API, the workflow and three functions, each in its own process. In alternation the same request goes
straight to the three handlers in this process, in a pool of three threads, and through a REST API
to the same workflow. The start is timed up to
the first answer of the server's health check, as a ratio to a Python process that only imports
moto's server and the services in use. Prints medians, smallest to largest in brackets.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from project import copy_project

SERVICES = [
    f"moto.{name}.models"
    for name in ("apigatewayv2", "awslambda", "ecr", "iam", "logs", "s3", "sts")
]
SERVICES.append("moto.stepfunctions.parser.models")


def handlers(folder: Path, server: Any) -> list[Any]:
    """Make the three predictors in this process, from the deployed functions' environments."""
    import boto3

    sys.path.insert(0, str(folder / "lambda_src"))
    os.environ |= server.environment("us-east-1")
    import predict

    functions = boto3.client("lambda", region_name="us-east-1").list_functions()["Functions"]
    return [
        predict.from_environment(function["Environment"]["Variables"]) for function in functions
    ]


def seconds(call: Callable[[], Any], times: int) -> float:
    """Return the median of a call's durations."""
    durations = []
    for _ in range(times):
        begun = time.perf_counter()
        call()
        durations.append(time.perf_counter() - begun)
    return statistics.median(durations)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        folder = Path(name).resolve()
        copy_project(folder)
        starts = measure_starts(folder, options.rounds)
        added, own, rest = measure_requests(folder, options.rounds, options.requests)
    print(f"added to a request: {spread(added)} ms; the handlers' own time: {spread(own)} ms")
    print(f"added by a REST API to that of an HTTP API: {spread(rest)} ms")
    print(f"start, in units of importing moto: {spread(starts)}")


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def measure_starts(folder: Path, rounds: int) -> list[float]:
    from deployer.local import process

    ratios = []
    for _ in range(rounds):
        begun = time.perf_counter()
        subprocess.run(
            [sys.executable, "-c", f"import moto.server, {', '.join(SERVICES)}"], check=True
        )
        imported = time.perf_counter() - begun
        begun = time.perf_counter()
        process.start(folder)
        ratios.append((time.perf_counter() - begun) / imported)
        process.stop(folder)
    return ratios


def make_rest_api(folder: Path, server: Any) -> str:
    """Make a REST API to the deployed workflow, beside the HTTP API, and return its URL."""
    from deployer.aws.access import Aws
    from deployer.local import process
    from deployer.project.settings import Settings
    from deployer.service.declare import rest_api

    aws = Aws(region=process.REGION, endpoint_url=server.url, credentials=tuple(server.credentials))
    unlimited = Settings(project=folder, rate_limit=10_000, burst_limit=5_000)
    api = rest_api(
        unlimited.located(account=process.ACCOUNT, partition="aws", region=process.REGION)
    )
    return f"{api.create(aws, api.fields)['endpoint']}/"


def measure_requests(
    folder: Path, rounds: int, requests: int
) -> tuple[list[float], list[float], list[float]]:
    """Return (added by the local AWS, the handlers' own time, added by a REST API) for a request.

    All in milliseconds, with one value for each round.
    """
    from deployer.local import process
    from deployer.service.invoke import Client

    command = [sys.executable, "-m", "deployer"]
    done = subprocess.run(
        [*command, "up", "--local"], cwd=folder, check=True, stdout=subprocess.PIPE, text=True
    )
    try:
        server = process.find(folder)
        assert server is not None
        predictors = handlers(folder, server)
        body = (folder / "samples" / "boston_housing.json").read_bytes()
        request = json.loads(body)
        added, own, by_rest = [], [], []
        with (
            Client(done.stdout.split()[-1]) as client,
            Client(make_rest_api(folder, server)) as rest,
            ThreadPoolExecutor(len(predictors)) as pool,
        ):

            def through(client: Client = client) -> None:
                assert client.post(body).succeeded

            def straight() -> None:
                list(pool.map(lambda predictor: predictor.answer(request), predictors))

            through()
            through(rest)
            straight()
            for _ in range(rounds):
                alone = seconds(straight, requests)
                own.append(alone * 1000)
                http = seconds(through, requests)
                added.append((http - alone) * 1000)
                by_rest.append((seconds(lambda: through(rest), requests) - http) * 1000)
        return added, own, by_rest
    finally:
        process.stop(folder)


if __name__ == "__main__":
    main()
