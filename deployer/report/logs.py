"""Lines of logs as text: time, source, and what the line says."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from deployer.report.values import printable
from deployer.service.log_lines import Event, execution_name

_COLORS = ("cyan", "green", "magenta", "blue", "yellow", "bright_cyan", "bright_green")
_VENDED_STYLES = {"api": "bold", "workflow": "bold"}
_NARROWEST = 44  # columns for what a line says; with fewer, it stands below time and source


class LogView:
    """Prints lines; a source keeps its colour.

    Args:
        names: of all sources, in their order.
    """

    def __init__(self, console: Console, names: Sequence[str]) -> None:
        self._console = console
        self._width = max(map(len, names), default=0)
        functions = [name for name in names if name not in _VENDED_STYLES]
        self._styles = {
            **{name: _COLORS[number % len(_COLORS)] for number, name in enumerate(functions)},
            **_VENDED_STYLES,
        }

    def print(self, event: Event) -> None:
        """Print one line, folded below itself on a terminal."""
        clock = event.time.astimezone()
        moment = (
            f"{clock:%H:%M:%S}.{event.time_ms % 1000:03}"
            if self._console.is_terminal
            else clock.isoformat(timespec="milliseconds")
        )
        head = Text.assemble(
            (moment, "dim"),
            " ",
            (f"{event.source:{self._width}}", self._styles.get(event.source, "")),
            " ",
        )
        style = "red" if event.is_error else "dim" if is_frame(event) else ""
        body = Text(said(event), style=style)
        if not self._console.is_terminal:
            self._console.print(Text.assemble(head, body), soft_wrap=True)
            return
        room = self._console.width - head.cell_len
        indent = head.cell_len if room >= _NARROWEST else 2
        lines = list(body.wrap(self._console, max(10, self._console.width - indent)))
        for line in lines:
            line.rstrip()
        first = lines.pop(0) if indent == head.cell_len and lines else Text()
        whole = Text.assemble(head, first)
        whole.rstrip()
        self._console.print(whole, soft_wrap=True)
        for line in lines:
            self._console.print(Text.assemble(" " * indent, line), soft_wrap=True)

    def title(self, text: str) -> None:
        """Print a line above a group of lines."""
        self._console.print(Text(text, style="bold"), soft_wrap=True)


def is_frame(event: Event) -> bool:
    """Tell whether a line is one that Lambda puts around a request."""
    return event.message.startswith(("START ", "END ", "REPORT ", "INIT_START ", "INIT_REPORT "))


def said(event: Event) -> str:
    """Return a line as a reader wants it: known JSON in words, tabs as spaces, no control codes."""
    fields = event.fields
    if event.is_handlers:
        text = _handlers(fields)
    elif {"init", "version", "load_ms"} <= fields.keys():
        text = _init(fields)
    elif "execution_arn" in fields:
        text = _execution(fields)
    elif event.source == "api" and {"status", "method"} <= fields.keys():
        text = _access(fields)
    else:
        text = event.text
    # The runtime indents by spaces that do not break.
    lines = text.replace("\t", "  ").replace("\xa0", " ").splitlines() or [""]
    return "\n".join(map(printable, lines)).rstrip()


def _handlers(fields: Mapping[str, Any]) -> str:
    number = fields.get("records")
    records = "1 record" if number == 1 else f"{number} records"
    parts = [str(fields["outcome"]), records, f"{fields.get('ms')} ms"]
    reason = ": ".join(str(fields[name]) for name in ("error", "message") if name in fields)
    parts += [reason] if reason else []
    parts.append(f"model {fields.get('version')}")
    if fields.get("execution"):
        parts.append(f"request {fields['execution']}")
    if "nth" in fields:  # log_level = debug (lambda_src/debugging.py)
        parts.append(f"the process's request {fields['nth']}")
        parts.append(f"answer {fields.get('answer_bytes')} bytes")
        parts.append(f"{fields.get('left_ms')} ms left")
        parts.append(f"peak {fields.get('peak_mb')} MB")
    if "input" in fields:
        parts.append(f"input {json.dumps(fields['input'], ensure_ascii=False)}")
    return "\n".join(["  ".join(parts), *str(fields.get("traceback", "")).splitlines()])


def _init(fields: Mapping[str, Any]) -> str:
    """Return what log_level = debug tells of an init (lambda_src/debugging.py)."""
    libraries = fields.get("libraries") or {}
    parts = [
        f"init of model {fields['version']}, evaluated by {fields.get('path')}",
        f"{fields.get('fetch_ms')} ms to fetch {fields.get('model_bytes')} bytes",
        f"{fields['load_ms']} ms to load",
        f"peak {fields.get('peak_mb')} MB",
        f"{fields.get('modules')} modules",
        ", ".join(f"{name} {version}" for name, version in libraries.items()),
        f"Python {fields.get('python')}",
    ]
    return "  ".join(filter(None, parts))


def _execution(fields: Mapping[str, Any]) -> str:
    details = fields.get("details") or {}
    parts = [str(fields.get("type"))]
    named = details.get("name") or details.get("resource")
    parts += [str(named)] if named else []
    reason = ": ".join(filter(None, [details.get("error"), _cause(details.get("cause"))]))
    parts += [reason] if reason else []
    return "  ".join([*parts, f"request {execution_name(str(fields['execution_arn']))}"])


def _cause(text: Any) -> str:
    """Return a cause without the stack trace, which is in the function's log."""
    try:
        cause = json.loads(text)
        invocation = f" (RequestId: {cause['requestId']})" if "requestId" in cause else ""
        return f"{cause['errorMessage']}{invocation}"
    except (ValueError, TypeError, KeyError):
        return str(text or "")


def _access(fields: Mapping[str, Any]) -> str:
    parts = [
        f"{fields['method']} {fields.get('path')}",
        str(fields["status"]),
        f"{fields.get('latencyMs')} ms",
        f"from {fields.get('ip')}",
        f"request {fields.get('requestId')}",
    ]
    for name in ("error", "integrationError"):
        if fields.get(name, "-") not in ("-", ""):
            parts.append(f"{name}: {fields[name]}")
    return "  ".join(parts)
