"""Break the code on purpose, for rows of docs/aws-behaviours.md, and see the row's tests fail."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from pathlib import Path
from queue import Queue

from tests.docs.test_behaviours import rows
from tests.mutations import MUTATIONS
from tests.mutations.child import run as run_pytest
from tests.mutations.mutation import Mutation
from tests.support.projects import ROOT

TIMEOUT_S = 1200
_CONTEXT = multiprocessing.get_context("forkserver")
_DETAILS = """
Works on copies of the checkout. A mutation that SURVIVES means that its row's tests cannot fail:
the exit code is then 1, and so it is where NO TEST was found. SKIPPED: this machine lacks what the
tests need, such as a Docker engine.
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
    """Run a row's tests with the code broken; return dies, SURVIVES, SKIPPED or NO TEST."""
    path = mutation.path(checkout)
    original = path.read_text()
    files, names = zip(*named_in_row(mutation.row), strict=True)
    chosen = " or ".join(names)
    chosen = f"({chosen}) and {mutation.only}" if mutation.only else chosen
    arguments = ["-q", "-x", "-n", "0", "-k", chosen, *sorted(set(files))]
    try:
        path.write_text(original.replace(mutation.old, mutation.new))
        code, output = _pytest(arguments, checkout, models)
    finally:
        path.write_text(original)
    if code == 0:
        return "SURVIVES" if " passed" in output else "SKIPPED"
    # None: a wait without an end. An error: the broken code cannot even be imported.
    if code is None or re.search(r"\d+ (failed|error)", output):
        return "dies"
    print(f"{mutation.row}, {mutation.old!r}:\n{output}", file=sys.stderr)
    return "NO TEST"


def _pytest(arguments: list[str], checkout: Path, models: Path) -> tuple[int | None, str]:
    """Run pytest on a checkout; return its exit code, None after too long a time, and its output.

    Programs that tests start import the checkout's code by PYTHONPATH.
    """
    variables = {"TESTS": "every", "TRAINED_MODELS": str(models), "PYTHONPATH": str(checkout)}
    log = checkout.with_suffix(".log")
    process = _CONTEXT.Process(target=run_pytest, args=(arguments, checkout, variables, log))
    process.start()
    process.join(TIMEOUT_S)
    if process.exitcode is None:
        os.killpg(process.pid or 0, signal.SIGKILL)  # with all that it started
        process.join()
        return None, ""
    return process.exitcode, log.read_text(errors="replace")


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
    _CONTEXT.set_forkserver_preload(["tests.mutations.preloaded"])
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
        running = {pool.submit(one, mutation): mutation for mutation in mutations}
        for future in as_completed(running):
            found, mutation = future.result(), running[future]
            survivors += found in ("SURVIVES", "NO TEST")
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
