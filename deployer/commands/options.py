"""The options that several verbs share."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import click

from deployer.commands.group import TYPED
from deployer.hints import copyable
from deployer.project.parsers import BUILDERS  # --help reads no settings

F = TypeVar("F", bound=Callable[..., Any])


@dataclass
class Options:
    """The options of every command; `typed` holds all arguments as the user typed them."""

    project: Path
    service: str | None
    stage: str | None
    region: str | None
    profile: str | None
    endpoint_url: str | None
    local: bool
    as_json: bool
    no_color: bool
    verbose: bool
    builder: str | None = None
    typed: Sequence[str] = ()

    def wording(self, text: str) -> str:
        """Return a message whose commands work when copied."""
        return copyable(text, vars(self), self.typed)

    @property
    def color(self) -> bool:
        return not self.no_color and not os.environ.get("NO_COLOR")


def is_address(text: str) -> bool:
    """Tell whether a text is the URL of an HTTP server."""
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port or an IPv6 address that is none
        return False


def common(command: F) -> F:
    """Add the options that mean the same everywhere."""

    @functools.wraps(command)
    def collect(**values: Any) -> Any:
        root = click.get_current_context().find_root()
        given = {name: values.pop(name) for name in Options.__dataclass_fields__ if name in values}
        root.obj = options = Options(**given, typed=root.meta[TYPED])
        if options.endpoint_url is not None and not is_address(options.endpoint_url):
            raise click.UsageError(
                f"--endpoint-url: {options.endpoint_url!r} must be an address such as http://127.0.0.1:4566"
            )
        if options.local and (options.profile or options.endpoint_url):
            raise click.UsageError(
                "--local is an account of its own: it takes no --profile and no --endpoint-url"
            )
        return command(options, **values)

    decorated: Any = collect
    for option in reversed(
        [
            click.option(
                "--project",
                type=click.Path(file_okay=False, path_type=Path),
                default=".",
                help="Folder of the project; by default the current one.",
            ),
            click.option("--service", help="First part of every resource name."),
            click.option(
                "--stage", help="Second part of every resource name, such as dev or prod."
            ),
            click.option("--region", help="AWS region."),
            click.option("--profile", help="Profile in the AWS configuration files."),
            click.option("--endpoint-url", help="Send all AWS calls to this address."),
            click.option(
                "--local", is_flag=True, help="Use the local AWS, which runs on this machine."
            ),
            click.option(
                "--json", "as_json", is_flag=True, help="Print one JSON document on stdout."
            ),
            click.option("--no-color", is_flag=True, help="Print without colours."),
            click.option(
                "-v",
                "--verbose",
                is_flag=True,
                help="Show every AWS call, and each resource in its own row.",
            ),
        ]
    ):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


def with_builder(command: F) -> F:
    """Add --builder, for the commands that build an image or plan to."""
    kinds = click.Choice(BUILDERS)
    return click.option(
        "--builder", type=kinds, help="Build the image with a Docker engine, or without one."
    )(command)


def adopting(command: F) -> F:
    """Add --adopt, for the commands that adopt resources or plan to."""
    return click.option(
        "--adopt",
        is_flag=True,
        help="Adopt existing resources that have this service's names but no tags.",
    )(command)
