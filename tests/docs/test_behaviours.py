"""docs/aws-behaviours.md is complete: one row for every id, with an existing test or a reason."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

from tests.support.projects import ROOT

DOCUMENT = ROOT / "docs" / "aws-behaviours.md"
# The number of ids in a family. A new id needs a row there and a higher number here.
FAMILIES = {"GEN": 17, "R": 26, "S3": 18, "ECR": 14, "Img": 17, "Iam": 16, "Logs": 16}
FAMILIES |= {
    "Cw": 6,
    "Alarm": 10,
    "Lambda": 39,
    "Pc": 14,
    "Sfn": 41,
    "Api": 35,
    "PERM": 21,
    "PRE": 17,
    "TEST": 26,
}
FAMILIES |= {"Rest": 18, "Key": 8}
ID = r"[A-Z][A-Za-z0-9]*-[0-9]+"


def rows() -> Iterator[tuple[list[str], str, str, str]]:
    """Yield (ids, behaviour of AWS, file, test or reason) for every row.

    `Pc-1 to Pc-14` stands for fourteen ids.
    """
    for line in DOCUMENT.read_text().splitlines():
        match = re.fullmatch(rf"\| ({ID})(?: to ({ID}))? \| (.+?) \| (.*?) ?\| (.+) \|", line)
        if match:
            first, last = match[1], match[2] or match[1]
            family, start = first.rsplit("-", 1)
            assert last.rsplit("-", 1)[0] == family
            numbers = range(int(start), int(last.rsplit("-", 1)[1]) + 1)
            yield [f"{family}-{number}" for number in numbers], match[3], match[4], match[5]
        else:
            assert not re.match(rf"\| {ID}", line), f"not a whole row: {line}"


def defined_tests() -> set[str]:
    paths = (ROOT / "tests").rglob("test_*.py")
    return {
        name
        for path in paths
        for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)
    }


def test_every_id_has_one_row() -> None:
    found = [id for ids, *_ in rows() for id in ids]
    expected = [
        f"{family}-{number}" for family, count in FAMILIES.items() for number in range(1, count + 1)
    ]
    assert sorted(found) == sorted(expected)


def test_every_row_names_a_test_that_is_there_or_says_why_it_does_not_concern_us() -> None:
    defined = defined_tests()
    for ids, _, _, shown in rows():
        if shown.startswith("not ours: "):
            assert len(shown) > len("not ours: ") + 15, ids
            continue
        named = re.findall(r"`(test_\w+)`", shown)
        assert named, f"{ids[0]}: neither a test nor a reason"
        assert set(named) <= defined, f"{ids[0]}: {set(named) - defined}"


def test_every_row_names_code_that_is_there() -> None:
    for ids, _, where, shown in rows():
        for name in re.findall(r"`([^`]+)`", where):
            assert (ROOT / "deployer" / name).is_file() or (ROOT / name).is_file(), (
                f"{ids[0]}: {name}"
            )
        assert where or shown.startswith("not ours: ") or "`test_" in shown, ids[0]


def test_every_id_that_code_and_tests_cite_is_in_the_list() -> None:
    known = {id for ids, *_ in rows() for id in ids}
    families = "|".join(FAMILIES)
    for folder in ("deployer", "lambda_src", "tests"):
        for path in (ROOT / folder).rglob("*.py"):
            for cited in re.findall(rf"\b(?:{families})-[0-9]+\b", path.read_text()):
                assert cited in known, f"{path.relative_to(ROOT)}: {cited}"


def test_the_wait_that_the_docs_show_is_one_that_a_run_prints() -> None:
    from rich.console import Console

    from deployer.engine.events import StepFinished, StepProgress, StepStarted
    from deployer.report.live import Reporter
    from tests.support.retries import ROWS

    page = (ROOT / "docs" / "recovery.md").read_text()
    (shown,) = re.findall(r"```text\n(function/random_forest: creating\n.*?)```", page, re.DOTALL)
    told = next(row.told for row in ROWS if row.id == "R-1")
    stream = io.StringIO()
    key = "function/random_forest"
    with Reporter(Console(file=stream, width=200)) as reporter:
        for event in (
            StepStarted(key, "create"),
            StepProgress(key, told),
            StepFinished(key, "create", 9.4),
        ):
            reporter.emit(event)
    assert stream.getvalue() == shown


def test_every_retry_row_that_concerns_us_is_a_case() -> None:
    from tests.support.retries import ROWS

    cases = {row.id for row in ROWS}
    for ids, _, _, shown in rows():
        if ids[0].startswith("R-") and "`test_what_is_transient_is_waited_out_and_told`" in shown:
            assert ids[0] in cases
    concerned = {
        ids[0]
        for ids, _, _, shown in rows()
        if ids[0].startswith("R-") and not shown.startswith("not ours")
    }
    assert concerned <= cases
