"""Errors on a console."""

from __future__ import annotations

import io

from deployer.report.console import make_console, print_error


def test_an_error_keeps_brackets_and_its_advice_on_a_line_of_its_own() -> None:
    stream = io.StringIO()
    print_error(make_console(stream), "role [x] is [/red] not ours", "choose another")
    assert stream.getvalue() == "error: role [x] is [/red] not ours\nchoose another\n"
