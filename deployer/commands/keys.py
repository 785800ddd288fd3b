"""`keys`: the API keys of a service with auth = key."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from deployer.commands.asking import AGREE, ask, can_ask
from deployer.commands.options import Options, common
from deployer.commands.session import Session, session
from deployer.engine.events import Note
from deployer.errors import Declined

if TYPE_CHECKING:
    from deployer.service.keys import ListedKey

_ONCE = "this is the only time that the key is shown; it may take a minute until it works"


@click.command("keys")
@common
@click.argument("action", type=click.Choice(["list", "create", "revoke"]), default="list")
@click.argument("name", required=False)
@click.option("--yes", is_flag=True, help="Do not ask before a key is revoked.")
def command(options: Options, action: str, name: str | None, yes: bool) -> None:
    """List, create or revoke the API keys of a service with auth = key.

    A new key is printed on stdout, only once. A key meters its requests; it authenticates nobody.

    \b
    Example:
        python -m deployer keys create alice
    """
    if (name is None) != (action == "list"):
        needed = "takes no NAME" if action == "list" else "needs the NAME of a key"
        raise click.UsageError(f"keys {action} {needed}")
    with session(options, "keys", deploying=False) as now:
        if name is None:
            _list(now)
        elif action == "create":
            _create(now, name)
        else:
            _revoke(now, name, yes)


def _list(now: Session) -> None:
    from deployer.report.console import print_json, stdout_console
    from deployer.report.folding import folded
    from deployer.service.keys import how_to_make_one, list_keys

    keys = list_keys(now.aws, now.settings)
    if not keys:
        now.emit(Note(f"there are no keys; {how_to_make_one(now.settings)}"))
    now.reporter.pause()
    if now.options.as_json:
        print_json(sys.stdout, {"keys": [key.document for key in keys]})
        return
    console = stdout_console(color=now.options.color)
    for key in keys:
        for line in folded(_line(key), 2, console.width):
            console.print(line, soft_wrap=True)


def _line(key: ListedKey) -> str:
    line = f"{key.name}  {key.key_id}  {key.created.astimezone():%Y-%m-%d %H:%M}  {key.state}"
    return line if key.ours else f"{line}, not ours: `up` takes it out of the usage plan"


def _create(now: Session, name: str) -> None:
    from deployer.report.console import print_json
    from deployer.service.keys import create

    key = create(now.aws, now.settings, name)
    now.emit(Note(_ONCE))
    now.reporter.pause()
    if now.options.as_json:
        print_json(sys.stdout, {"name": key.name, "id": key.key_id, "key": key.value})
    else:
        click.echo(key.value)


def _revoke(now: Session, name: str, yes: bool) -> None:
    from deployer.report.console import print_json
    from deployer.service.keys import named, revoke

    keys = named(now.aws, now.settings, name)
    if not yes:
        if not can_ask():
            raise Declined(f"refusing to revoke {name} without a terminal to confirm", AGREE)
        now.reporter.pause()
        ask(f"Revoke the key {name}? Its requests are refused.", now.interrupts.stopped.is_set)
        now.reporter.resume()
    revoke(now.aws, keys)
    now.reporter.pause()
    if now.options.as_json:
        print_json(sys.stdout, {"revoked": [key.key_id for key in keys]})
    else:
        click.echo(f"revoked  {name}")
