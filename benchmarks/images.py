"""Measure the time to build the function image, and its size, for both builders.

    python benchmarks/images.py [--base IMAGE] [--rounds 5]

Needs a Docker engine, and a base image that can be pulled. Both builders write the example's image
to a file, alternating, so that a busy machine slows both: "first" with the base at hand but no
packages; "edited" after a line was added to predict.py; "unchanged" once more. Prints medians and
spreads as ratios to the engine's, and the compressed size of the layers above the base.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

from project import copy_project

BUILDERS = ("docker", "direct")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--base", help="the base image, by default AWS's own")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        times, sizes = measure(Path(folder), options.base, options.rounds)
    print(f"{options.rounds} rounds; ratio to docker's median (smallest to largest)")
    for step in ("first", "edited", "unchanged"):
        unit = statistics.median(times["docker", step])
        for builder in BUILDERS:
            ratios = sorted(seconds / unit for seconds in times[builder, step])
            print(
                f"{step:10} {builder:7} {statistics.median(ratios):5.2f} ({ratios[0]:.2f} to "
                f"{ratios[-1]:.2f})"
            )
    for builder in BUILDERS:
        print(
            f"above the base, compressed: {builder:7} {sizes[builder] / 1e6:6.1f} MB, "
            f"{sizes[builder] / sizes['docker']:.2f}"
        )


def measure(
    folder: Path, base: str | None, rounds: int
) -> tuple[dict[tuple[str, str], list[float]], dict[str, int]]:
    """Return seconds by builder and step, and bytes by builder."""
    times: dict[tuple[str, str], list[float]] = {
        (b, s): [] for b in BUILDERS for s in ("first", "edited", "unchanged")
    }
    sizes: dict[str, int] = {}
    projects = {builder: folder / builder for builder in BUILDERS}
    for project in projects.values():
        copy_project(project)
    for builder in BUILDERS:  # pulls the base, so that no round does
        build(projects[builder], builder, folder, base)
    for number in range(rounds):
        for builder in BUILDERS:
            source = projects[builder] / "lambda_src"
            forget_packages(source, folder / "cache")
            times[builder, "first"].append(build(projects[builder], builder, folder, base))
            sizes[builder] = above_base(folder / "image.tar", builder)
            with (source / "predict.py").open("a") as file:
                file.write(f"# round {number}\n")
            times[builder, "edited"].append(build(projects[builder], builder, folder, base))
            times[builder, "unchanged"].append(build(projects[builder], builder, folder, base))
    return times, sizes


def forget_packages(source: Path, cache: Path) -> None:
    """Make both builders install the packages again.

    For the engine's cache, a comment that it has never seen makes requirements.txt new.
    """
    shutil.rmtree(cache / "deployer" / "packages", ignore_errors=True)
    with (source / "requirements.txt").open("a") as file:
        file.write(f"# {uuid.uuid4()}\n")


def build(folder: Path, builder: str, work: Path, base: str | None) -> float:
    environment = {**os.environ, "XDG_CACHE_HOME": str(work / "cache")}
    if base:
        environment["DEPLOYER_BASE_IMAGE"] = base
    command = [
        sys.executable,
        "-m",
        "deployer",
        "image",
        "--builder",
        builder,
        "--project",
        str(folder),
    ]
    started = time.perf_counter()
    subprocess.run(
        [*command, "--output", str(work / "image.tar")],
        check=True,
        capture_output=True,
        env=environment,
    )
    return time.perf_counter() - started


def above_base(archive: Path, builder: str) -> int:
    """Return the gzipped size of the layers above the base.

    docker adds three by COPY and one by RUN, the direct builder one of packages and one of code.
    """
    with tarfile.open(archive) as image:
        manifest: list[dict[str, Any]] = json.load(
            image.extractfile("manifest.json") or io.BytesIO(b"[]")
        )
        layers = manifest[0]["Layers"][-4:] if builder == "docker" else manifest[0]["Layers"][-2:]
        contents = [(image.extractfile(name) or io.BytesIO()).read() for name in layers]
    return sum(
        len(content) if content[:2] == b"\x1f\x8b" else len(gzip.compress(content, 6))
        for content in contents
    )


if __name__ == "__main__":
    main()
