"""The command line: the names of the verbs.

A verb's module is imported when the verb is called, or listed in --help.
"""

from __future__ import annotations

import click

from deployer import __version__
from deployer.commands.group import Cli

VERBS = (
    *("up", "plan", "check", "down"),
    *("status", "logs", "trace", "releases", "rollback", "promote"),
    *("init", "add", "remove", "image", "invoke", "keys", "env", "config", "graph"),
    *("openapi", "page", "policy"),
)


@click.group(cls=Cli, verbs=VERBS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="deployer")
def cli() -> None:
    """Deploy several models behind one HTTP endpoint.

    \b
    Example, on this machine, without AWS and without Docker:
        python -m deployer init shop && cd shop
        python -m deployer up --local
        python -m deployer invoke --sample --local
        python -m deployer down --local --yes
    """
