"""`policy`: print the IAM policy that a verb needs."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from deployer.commands.options import Options, common
from deployer.commands.session import settings_of, started
from deployer.errors import ConfigError

if TYPE_CHECKING:
    from deployer.project.settings import Settings
    from deployer.service.github import Workflows

ANY_ACCOUNT = "*"


@click.command("policy")
@common
@click.argument("verb", required=False)
@click.option("--account", metavar="ID", help="Write this account into the ARNs instead of *.")
@click.option(
    "--github",
    metavar="OWNER/REPO",
    help="Also print the trust policy of a role that this repository's GitHub Actions may assume.",
)
@click.option(
    "--branch", metavar="NAME", help="Let runs on this branch assume the role; by default main."
)
@click.option(
    "--environment", metavar="NAME", help="Let runs in this GitHub environment assume the role."
)
@click.option("--pull-requests", is_flag=True, help="Let runs for pull requests assume the role.")
@click.option(
    "--part", metavar="NAME", help="Print only this document: trust, policy, policy-2, and so on."
)
def command(
    options: Options,
    verb: str | None,
    account: str | None,
    github: str | None,
    branch: str | None,
    environment: str | None,
    pull_requests: bool,
    part: str | None,
) -> None:
    """Print the IAM policy that the command VERB needs, or one for all commands.

    The policy is for this service and stage.

    \b
    Example:
        python -m deployer policy plan --account 123456789012 > plan.json
    """
    from deployer.report.console import print_json

    check_verb(verb)
    workflows = workflows_of(github, branch, environment, pull_requests)
    started()
    settings = located(options, account)
    parts = documents(settings, verb, workflows)
    tell_split(options, parts)
    if workflows is not None and workflows.pull_requests:
        reading = f"policy plan --account {settings.account} --github {github} --pull-requests"
        warn_of_pull_requests(options, parts, reading)
    if part is not None and part not in parts:
        raise click.BadParameter(f"{part!r} is none of {', '.join(parts)}", param_hint="--part")
    chosen = {part: parts[part]} if part else parts
    if options.as_json:
        print_json(sys.stdout, {"parts": chosen})
    else:
        print_json(sys.stdout, chosen if len(chosen) > 1 else next(iter(chosen.values())))


def check_verb(verb: str | None) -> None:
    """Refuse a verb that calls no AWS. Naming them imports every kind of resource."""
    from deployer.service.verb_policies import VERBS

    if verb is not None and verb not in VERBS:
        raise click.BadParameter(
            f"{verb!r} is no command that calls AWS; these do: {', '.join(VERBS)}",
            param_hint="VERB",
        )


def workflows_of(
    github: str | None, branch: str | None, environment: str | None, pull_requests: bool
) -> Workflows | None:
    """Return the workflows that the options name; None without --github."""
    from deployer.service.github import Workflows, is_name, is_repository

    runs = {"--branch": branch, "--environment": environment, "--pull-requests": pull_requests}
    given = [option for option, value in runs.items() if value]
    if github is None:
        if given:
            raise click.UsageError(f"{given[0]} needs --github OWNER/REPO")
        return None
    if len(given) > 1:
        raise click.UsageError(
            f"{given[0]} and {given[1]} exclude each other: make a role for each"
        )
    if not is_repository(github):
        raise click.BadParameter(
            f"{github!r} must be OWNER/REPO, such as octo-org/shop", param_hint="--github"
        )
    for option, name in {"--branch": branch, "--environment": environment}.items():
        if name is not None and not is_name(name):
            raise click.BadParameter(
                f"{name!r} must be one name; no pattern is taken", param_hint=option
            )
    return Workflows(github, branch or "main", environment, pull_requests)


def located(options: Options, account: str | None) -> Settings:
    """Return the settings in their region, and in an account if one is named."""
    from deployer.aws.access import Aws
    from deployer.project.settings import SETTINGS

    settings = settings_of(options)
    if options.local:
        from deployer.local.process import ACCOUNT, REGION

        settings = replace(settings, region=settings.region or REGION, account="")
        account = account or ACCOUNT
    if account is not None:
        try:
            SETTINGS["account"].parse(account)
        except ValueError as error:
            raise click.BadParameter(f"{account!r} {error}", param_hint="--account") from None
    aws = Aws(region=settings.region, profile=options.profile)
    return settings.located(
        account=account or settings.account or ANY_ACCOUNT,
        partition=aws.partitions.of_region(aws.region),
        region=aws.region,
    )


def documents(
    settings: Settings, verb: str | None, workflows: Workflows | None
) -> Mapping[str, Any]:
    """Return the policy documents by their names."""
    from deployer.service.github import trust
    from deployer.service.verb_policies import policies

    parts: dict[str, Any] = {}
    if workflows is not None:
        if settings.account == ANY_ACCOUNT:
            raise ConfigError(
                ["a trust policy names the account, and neither --account nor a setting does"],
                "name it: python -m deployer policy ... --account ID",
            )
        parts["trust"] = trust(settings, workflows)
    for number, document in enumerate(policies(settings, verb), start=1):
        parts["policy" if number == 1 else f"policy-{number}"] = document
    return parts


def warn_of_pull_requests(options: Options, parts: Mapping[str, Any], reading: str) -> None:
    """Say on stderr what the policy lets pull requests do that nobody has reviewed.

    Args:
        reading: the command that prints a policy which only reads.
    """
    from deployer.report.console import stderr_console
    from deployer.service.verb_policies import reads_keys, writes

    documents = [document for name, document in parts.items() if name != "trust"]
    if writes(documents):
        what = (
            "may change the service before it is reviewed; give pull requests one that only reads: "
            f"{options.wording(f'python -m deployer {reading}')}"
        )
    elif reads_keys(documents):
        what = (
            "can read the values of API keys, those of other services in the region too; with "
            "auth = key, give pull requests no role"
        )
    else:
        return
    text = f"warning: with this policy a pull request, whoever opens it, {what}"
    stderr_console(color=options.color).print(text, soft_wrap=True, markup=False)


def tell_split(options: Options, parts: Mapping[str, Any]) -> None:
    """Say on stderr that one policy would be too long, if it is."""
    from deployer.report.console import stderr_console
    from deployer.service.verb_policies import LIMIT

    names = [name for name in parts if name != "trust"]
    if len(names) > 1:
        stderr_console(color=options.color).print(
            f"IAM takes at most {LIMIT:,} characters in a policy, so these are "
            f"{len(names)}; attach them all: {', '.join(names)}",
            soft_wrap=True,
        )
