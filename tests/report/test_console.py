"""Errors and other lines on a console."""

from __future__ import annotations

import io

from rich.console import Console

from deployer.report.console import make_console, print_error, print_text


def test_an_error_keeps_brackets_and_its_advice_on_a_line_of_its_own() -> None:
    stream = io.StringIO()
    print_error(make_console(stream), "role [x] is [/red] not ours", "choose another")
    assert stream.getvalue() == "error: role [x] is [/red] not ours\nchoose another\n"


def test_a_terminal_folds_at_words_and_leaves_commands_whole() -> None:
    stream = io.StringIO()
    console = Console(file=stream, width=30, force_terminal=True, no_color=True)
    command = f"to begin a project: {'x' * 20}/python -m deployer init"
    print_text(console, f"the folder holds nothing that it could deploy\n{command}")
    assert stream.getvalue() == f"the folder holds nothing that \n  it could deploy\n{command}\n"


def test_a_pipe_gets_each_line_whole() -> None:
    stream = io.StringIO()
    print_text(Console(file=stream, width=30), "the folder holds nothing that it could deploy")
    assert stream.getvalue() == "the folder holds nothing that it could deploy\n"
