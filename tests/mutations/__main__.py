"""Break the code on purpose, for rows of docs/aws-behaviours.md, and see the row's tests fail."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from queue import Queue

from tests.docs.test_behaviours import rows
from tests.mutations import MUTATIONS
from tests.mutations.mutation import Mutation
from tests.support.projects import ROOT

TIMEOUT_S = 1200
_DETAILS = """
Works on copies of the checkout. A mutation that SURVIVES means that its row's tests cannot fail:
the exit code is then 1. SKIPPED: this machine lacks what the tests need, such as a Docker engine.
All mutations take some hours; run those of the rows whose code or tests you changed.
tests/docs/test_mutations.py holds every mutation to the code, and every row to a mutation or a
reason.
"""


def named_in_row(row: str) -> list[tuple[str, str]]:
    """Return (file, name) of each test that the document names for a row."""
    shown = next(shown for ids, _, _, shown in rows() if row in ids)
    names = re.findall(r"`(test_\w+)`", shown)
    files = {path: path.read_text() for path in sorted((ROOT / "tests").rglob("test_*.py"))}
    return [
        (path.relative_to(ROOT).as_posix(), name)
        for name in names
        for path, text in files.items()
        if f"\ndef {name}(" in text
    ]


def verdict(mutation: Mutation, checkout: Path, models: Path) -> str:
    """Run a row's tests with the code broken; return dies, SURVIVES or SKIPPED."""
    path = mutation.path(checkout)
    original = path.read_text()
    files, names = zip(*named_in_row(mutation.row), strict=True)
    chosen = " or ".join(names)
    chosen = f"({chosen}) and {mutation.only}" if mutation.only else chosen
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-n", "0", "-k", chosen, *set(files)]
    environment = {**os.environ, "TESTS": "all", "TRAINED_MODELS": str(models)}
    try:
        path.write_text(original.replace(mutation.old, mutation.new))
        done = subprocess.run(
            command, cwd=checkout, env=environment, capture_output=True, timeout=TIMEOUT_S
        )
    except subprocess.TimeoutExpired:  # a wait without an end is noticed, too
        return "dies"
    finally:
        path.write_text(original)
    output = done.stdout.decode()
    if done.returncode == 0:
        return "SURVIVES" if " passed" in output else "SKIPPED"
    if done.returncode in (1, 2):  # 2: the broken code cannot even be imported
        return "dies"
    raise SystemExit(f"{mutation.row}, {mutation.old!r}:\n{output}")  # nothing was collected


def chosen(wanted: Sequence[str]) -> Iterator[Mutation]:
    for mutation in MUTATIONS:
        if not wanted or mutation.row in wanted or mutation.row.partition("-")[0] in wanted:
            yield mutation


def copied(folder: Path) -> Path:
    """Copy the checkout into a folder."""
    ignored = shutil.ignore_patterns(".git", ".venv", ".deployer", "models", "__pycache__")
    return Path(shutil.copytree(ROOT, folder, ignore=ignored))


def run(mutations: Sequence[Mutation], jobs: int) -> int:
    """Run mutations, and print a line for each; return how many survive."""
    survivors = 0
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mutations-")))
        models = folder / "models"
        train = [sys.executable, str(ROOT / "train.py"), "--output", str(models)]
        subprocess.run(train, check=True, capture_output=True)
        checkouts: Queue[Path] = Queue()
        for number in range(jobs):
            checkouts.put(copied(folder / f"checkout{number}"))

        def one(mutation: Mutation) -> str:
            checkout = checkouts.get()
            try:
                return verdict(mutation, checkout, models)
            finally:
                checkouts.put(checkout)

        pool = stack.enter_context(ThreadPoolExecutor(jobs))
        for mutation, found in zip(mutations, pool.map(one, mutations), strict=True):
            survivors += found == "SURVIVES"
            print(f"{found}\t{mutation.row}\t{mutation.old!r}", flush=True)
    print(f"{survivors} survive")
    return survivors


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutations",
        description=__doc__,
        epilog=_DETAILS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("rows", nargs="*", metavar="ROW", help="a row, Img-9, or a family, S3")
    parser.add_argument("--jobs", type=int, default=1, help="mutations at once; default: 1")
    parser.add_argument("--list", action="store_true", help="list the mutations, and run none")
    options = parser.parse_args()
    mutations = list(chosen(options.rows))
    if not mutations:
        parser.error(f"no mutation of {', '.join(options.rows)}")
    if options.list:
        for mutation in mutations:
            print(f"{mutation.row}\t{mutation.file}\t{mutation.old!r} -> {mutation.new!r}")
        return 0
    return 1 if run(mutations, options.jobs) else 0


if __name__ == "__main__":
    sys.exit(main())
