"""Everything that is patched of botocore, each patch with its reason.

| patch | without it |
| --- | --- |
| `know_services` | each client and paginator searches the folders of all four hundred services |
| `ask_on_terminals_only` | a command without a terminal hangs at the prompt for an MFA code |
| `check_answers` | a hotel's sign-in page is taken for an empty answer of AWS |
| `fetch_pages_with` | a listing that failed half-way ends silently when its page is repeated |
"""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable, Iterator
from typing import Any

from deployer.aws.foreign_answers import refuse_foreign_answer

# The services that every command calls; their clients are made beforehand.
SERVICES = ("apigatewayv2", "apigateway", "s3", "iam", "lambda", "ecr", "logs", "stepfunctions")
# The services that the deployer calls. A service that is missing here works, but slowly.
KNOWN = ("sts", *SERVICES, "resourcegroupstaggingapi", "cloudwatch", "sns")


class NoTerminal(Exception):
    """An MFA code is needed, and there is no terminal to type it on."""


class _Services(list[str]):
    """The names of all services; those in KNOWN are found without a search of botocore's folders.

    The search took a fifth of a plan (benchmarks/deploy.py): it is repeated for each kind of file,
    and by all threads at once. botocore's credential providers call services that are not in KNOWN:
    sso, sso-oidc, signin, and more in later versions.
    """

    def __init__(self, search: Callable[[], list[str]]) -> None:
        super().__init__(KNOWN)
        self._search = search

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or name in self._search()

    def __iter__(self) -> Iterator[str]:
        return iter(self._search())


def patch(core: Any) -> None:
    """Apply to a botocore session all patches that hold for its whole life."""
    know_services(core)
    ask_on_terminals_only(core)
    check_answers(core)


def know_services(core: Any) -> None:
    """Let the session's loader know the deployer's services without searching its folders."""
    loader = core.get_component("data_loader")
    search = loader.list_available_services
    loader.list_available_services = lambda type_name: _Services(lambda: search(type_name))


def ask_on_terminals_only(core: Any) -> None:
    """Let the session ask for an MFA code only where somebody can type it; else NoTerminal."""

    def ask(prompt: str) -> str:
        if not sys.stdin.isatty():
            raise NoTerminal(
                "a code of an MFA device is asked for, and there is no terminal to type it on"
            )
        return getpass.getpass(prompt)

    provider = core.get_component("credential_provider").get_provider("assume-role")
    provider._prompter = ask


def check_answers(core: Any) -> None:
    """Let the session's clients raise ForeignAnswer for an answer that is not AWS's."""
    core.get_component("event_emitter").register("before-parse", refuse_foreign_answer)


def fetch_pages_with(paginator: Any, fetch: Callable[..., Any]) -> None:
    """Let a paginator fetch each page with `fetch`, which may retry, in place of its client."""
    paginator._method = fetch
