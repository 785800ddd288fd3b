"""Measure how the cost of planning an unchanged service grows with its number of functions.

    python benchmarks/many.py [--functions 3 100 500]

Deploys services made of copies of one model into the local AWS, and plans each in a new process.
Prints the number of requests; the least time that AWS's documented rates for them allow
(deployer.aws.pace.RATES); the planning process's CPU time and peak memory. Nothing really waits:
the clock stands still, and waiting times are recorded.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from project import copy_project, grow, open_account, reset


def run(verb: str, folder: Path, url: str) -> dict[str, Any]:
    """Deploy or plan in this process, and return the figures of a plan."""
    from deployer.aws.access import WORKERS, Aws
    from deployer.images.context import NO_BASE
    from deployer.project.settings import load_settings
    from deployer.service.release import read_release
    from deployer.service.up import plan_release, plan_up

    calls: Counter[str] = Counter()
    waits = [0.0]
    aws = Aws(
        region="us-east-1",
        endpoint_url=url,
        record=lambda service, operation: calls.update([f"{service}:{operation}"]),
        clock=lambda: 0.0,
        sleep=waits.append,
    )
    located = load_settings(folder, {}, {}).located(
        account=aws.identity.account, partition="aws", region="us-east-1"
    )
    settings = replace(located, base_image=NO_BASE)
    calls.clear()
    before = resource.getrusage(resource.RUSAGE_SELF)
    with ThreadPoolExecutor(WORKERS) as pool:
        if verb == "up":
            plan_up(aws, settings, pool, lambda event: None).apply(lambda: False)
            return {}
        release = read_release(settings, lambda event: None, write=False)
        plan = plan_release(aws, settings, release, pool, lambda event: None).plan
    after = resource.getrusage(resource.RUSAGE_SELF)
    if plan.effective:
        raise SystemExit(f"the plan is not empty: {plan.effective[0]}")
    return {
        "resources": len(plan.changes),
        "requests": sum(calls.values()),
        "logs": sum(number for name, number in calls.items() if name.startswith("logs:describe")),
        "at_least_s": max(waits),
        "cpu_s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "peak_mb": after.ru_maxrss / 1024,
    }


def measure(folder: Path, functions: list[int]) -> dict[int, dict[str, Any]]:
    from deployer.local import process

    copy_project(folder)
    figures = {}
    server = process.start(folder)
    open_account(server)
    try:
        for count in functions:
            reset(server)
            many = folder / f"of-{count}"
            shutil.copytree(folder, many, ignore=shutil.ignore_patterns(".deployer", "of-*"))
            grow(many, count)
            for verb in ("up", "plan"):
                command = [
                    sys.executable,
                    os.fspath(Path(__file__).resolve()),
                    "--run",
                    verb,
                    str(many),
                    server.url,
                ]
                done = subprocess.run(command, capture_output=True, text=True)
                if done.returncode != 0:
                    raise SystemExit(
                        f"{verb} of {count} functions failed:\n{done.stdout}{done.stderr}"
                    )
            figures[count] = json.loads(done.stdout)
        return figures
    finally:
        process.stop(folder)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--functions", type=int, nargs="+", default=[3, 100, 500])
    parser.add_argument("--run", nargs=3, metavar=("VERB", "FOLDER", "URL"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        verb, folder, url = options.run
        print(json.dumps(run(verb, Path(folder), url)))
        return
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        figures = measure(Path(name).resolve(), options.functions)
    first = figures[options.functions[0]]
    print(
        "| functions | resources | requests | of which list log groups | at least, by AWS's "
        "rates | CPU | peak memory |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for count, row in figures.items():
        cpu = f"{row['cpu_s'] / first['cpu_s']:.1f}"
        sizes = (
            f"{row['resources']} | {row['requests']} | {row['logs']} | {row['at_least_s']:.0f} s"
        )
        print(f"| {count} | {sizes} | {cpu} | {row['peak_mb']:.0f} MB |")


if __name__ == "__main__":
    main()
