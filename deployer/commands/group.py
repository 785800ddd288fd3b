"""The group of all commands: it turns every error into one message and an exit code."""

from __future__ import annotations

import atexit
import difflib
import gc
import json
import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from deployer.errors import Defect, DeployerError, Interrupted
from deployer.hints import copyable, program
from deployer.machine import of_this_machine

FAILED, CHANGES, INTERRUPTED = 1, 3, 130
TYPED = "deployer.typed"  # where the context keeps the arguments as they were typed


class Cli(click.Group):
    """Imports a verb when it is called, and turns its errors into one message and an exit code.

    Args:
        verbs: names of the verbs; each has a module here of its name, with its `command`.
    """

    def __init__(self, *arguments: Any, verbs: Sequence[str] = (), **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._verbs = verbs

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._verbs)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in self._verbs:
            return None
        command: click.Command = import_module(f"deployer.commands.{name}").command
        return command

    def make_context(
        self, info_name: str | None, args: list[str], *rest: Any, **extra: Any
    ) -> click.Context:
        typed = list(args)
        try:
            ctx = super().make_context(info_name, args, *rest, **extra)
        except click.UsageError as error:
            if _wants_json(typed) and error.ctx:
                error.ctx.meta[TYPED] = typed
                _print_usage_error(error.ctx, error)
                sys.exit(error.exit_code)
            raise
        ctx.meta[TYPED] = typed
        return ctx

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[Any, Any, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            close = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1)
            if not close or "Did you mean" in error.format_message():  # click 8.5 says it by itself
                raise
            raise click.UsageError(
                f"{error.format_message()} Did you mean {close[0]}?", error.ctx
            ) from error

    def invoke(self, ctx: click.Context) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
            return result
        except (click.exceptions.Exit, click.Abort):
            raise
        except click.UsageError as error:
            if _wants_json(ctx.meta[TYPED]):
                _print_usage_error(ctx, error)
                ctx.exit(error.exit_code)
            raise
        except KeyboardInterrupt:
            if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
                sys.stderr.write(
                    "\x1b[?25h"
                )  # the cursor may have been hidden by what was interrupted
            _print_error(ctx, Interrupted("interrupted"))
            os._exit(INTERRUPTED)  # calls that nobody waits for any more are not waited for
        except BrokenPipeError:  # the reader of our output went away, which is its right
            _discard_stdout()
            ctx.exit(FAILED)
        except Exception as error:
            failure = (
                error
                if isinstance(error, DeployerError)
                else of_this_machine(error) or _defect(error)
            )
            _print_error(ctx, failure)
            ctx.exit(INTERRUPTED if isinstance(failure, Interrupted) else FAILED)


def _wants_json(typed: Sequence[str]) -> bool:
    return any(argument.partition("=")[0] == "--json" for argument in typed)


def _print_usage_error(ctx: click.Context, error: click.UsageError) -> None:
    verb = error.ctx.info_name if error.ctx and error.ctx.parent else ""
    advice = " ".join(filter(None, [program(), verb, "--help"]))
    _print_error(ctx, DeployerError(error.format_message(), f"see {advice}"), "UsageError")


def _defect(error: Exception) -> Defect:
    """Write the traceback to a file, or to stderr if no file can be written."""
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="deployer-", suffix=".log", delete=False
        ) as log:
            traceback.print_exception(error, file=log)
        where = f"the details are in {log.name}"
    except OSError:
        traceback.print_exception(error)
        where = "the details stand above"
    return Defect(f"unexpected {type(error).__name__}: {error}", f"this is a defect; {where}")


def _print_error(ctx: click.Context, error: DeployerError, kind: str = "") -> None:
    """Print an error on stderr and, with --json, its document on stdout."""
    options = ctx.find_root().obj
    given = vars(options) if options else {}
    message, advice = (
        copyable(text, given, ctx.meta[TYPED]) for text in (error.message, error.advice)
    )
    color = options.color if options else not os.environ.get("NO_COLOR")
    try:
        _show(message, advice, color=color)
        if options.as_json if options else _wants_json(ctx.meta[TYPED]):
            failure = {"type": kind or type(error).__name__, "message": message, "advice": advice}
            sys.stdout.write(
                json.dumps({**error.document, "error": failure}, indent=2, default=repr) + "\n"
            )
            sys.stdout.flush()
    except OSError:  # neither stream takes anything any more; the exit code still tells
        _discard_stdout()


def _show(message: str, advice: str, *, color: bool) -> None:
    try:
        from deployer.report.console import print_error, stderr_console
    except (OSError, ImportError):  # what is wrong may keep modules from being read, too
        sys.stderr.write(f"error: {message}\n{advice}\n")
    else:
        print_error(stderr_console(color=color), message, advice)


def _discard_stdout() -> None:
    """Discard further output to stdout, so that Python's exit does not fail on it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def run(cli: click.Group) -> int:
    """Run the command line; return the exit code.

    Disables garbage collection during startup: imported modules are never garbage, and scanning
    them cost 20 % of `plan`.
    """
    gc.disable()
    atexit.register(gc.freeze)
    try:
        # The console script goes by its own name, which completion needs; the module by what was
        # typed.
        cli(prog_name=None if Path(sys.argv[0]).name == "deployer" else program())
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except OSError as error:  # --help into a full disk
        with suppress(OSError):
            sys.stderr.write(f"error: {error.strerror}\n")
        _discard_stdout()
        return FAILED
    return 0
