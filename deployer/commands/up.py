"""`up`: create or update everything."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from deployer.commands.asking import confirm, counted
from deployer.commands.changes import applied, document, where
from deployer.commands.options import Options, adopting, common, with_builder
from deployer.commands.session import Session, executor, session
from deployer.engine.events import Note, Suggestion
from deployer.errors import ConfigError, Declined

if TYPE_CHECKING:
    from deployer.service.up import Deployment


@click.command("up")
@common
@with_builder
@adopting
@click.option("--train", is_flag=True, help="Train first, even if models of this service are live.")
@click.option(
    "--no-proof",
    is_flag=True,
    help="Switch to new function versions without first testing them with their models' examples.",
)
@click.option(
    "--canary",
    type=click.IntRange(1, 99),
    metavar="PERCENT",
    help="Send this share of the requests to the new release, and the others to the live one.",
)
@click.option(
    "--plan",
    "plan_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Apply the plan in this file of plan --out, or refuse if anything has changed since.",
)
@click.option(
    "--enforce-iam",
    is_flag=True,
    help="With --local: enforce the IAM roles of the service.",
)
@click.option(
    "--yes",
    is_flag=True,
    help="Do not ask before deletions, replacements, adoptions, or undoing a rollback.",
)
def command(
    options: Options,
    adopt: bool,
    train: bool,
    no_proof: bool,
    canary: int | None,
    plan_file: Path | None,
    enforce_iam: bool,
    yes: bool,
) -> None:
    """Create or update everything; the last line is the URL.

    \b
    Example:
        python -m deployer up --stage prod
    """
    from deployer.report.console import print_json

    begun = time.monotonic()
    if plan_file and (train or canary is not None):
        raise click.UsageError(
            "--plan applies a plan as it is: it takes no --train and no --canary"
        )
    if enforce_iam and not options.local:
        raise click.UsageError("--enforce-iam is for --local: AWS enforces IAM anyway")
    reviewed = Reviewed.read(plan_file, adopt=adopt) if plan_file else None
    adopt = reviewed.adopt if reviewed else adopt
    with session(options, "up") as now, executor() as pool:
        from deployer.service.up import plan_up

        if options.local:
            set_enforcement(now, enforce_iam)
        if reviewed:
            reviewed.check_place(now)
        else:
            train_if_needed(now, train)
        settings = replace(now.settings, adopt=adopt, proof=not no_proof)
        deployment = plan_up(now.aws, settings, pool, now.emit, canary=canary)
        if reviewed:
            reviewed.check(now, deployment)
        with deployment.workflow_validated():
            deployment.ask_examples()
        plan = deployment.plan
        if adopt:
            question = f"Adopt {counted(plan.adopting)}, and tag them as this service's?"
            confirm(now, "adopt", plan.adopting, yes, question)
        question = f"Apply this plan? It deletes or replaces {counted(plan.destructive)}."
        confirm(now, "delete or replace", plan.destructive, yes, question)
        former = deployment.forward_from
        if former is not None:
            switch = [change for change in plan.effective if change.key == "workflow"]
            question = (
                f"Live is release {former.number}, which went back to {former.provenance.back_to}. "
                f"Leave it for a new release of this folder?"
            )
            confirm(now, "switch", switch, yes, question)
        outputs = applied(now, plan, deployment.apply, begun)
        if not (options.as_json or plan.is_empty):
            suggest(now, outputs["url"])
        now.reporter.pause()
        if options.as_json:
            print_json(sys.stdout, document(now, plan, outputs, time.monotonic() - begun))
        else:
            click.echo(outputs["url"])


def suggest(now: Session, url: str) -> None:
    """Show how to call the API, with curl and with this tool."""
    from deployer.service.credentials import SOURCES
    from deployer.service.curl import credentials_advice, curl_words

    options = now.options
    try:
        words = curl_words(now.settings, url)
    except ConfigError as error:  # the deploy is done; the next command explains it
        now.emit(Note(f"no request is at hand: {error.message}"))
        return
    advice = credentials_advice(now.settings, now.environment, exporting(now))
    label = f"try it, {options.wording(advice)}" if advice else "try it"
    now.emit(Suggestion(label, words))
    _, variable = SOURCES.get(now.settings.auth, ("", ""))
    label = f"next, with {variable} set" if variable and advice else "next"
    now.emit(Suggestion(label, ["python -m deployer invoke --sample"]))


def exporting(now: Session) -> str:
    """Return the command that prints this run's AWS credentials for a shell; "" if none is due."""
    if now.options.local:
        return "python -m deployer env"
    if now.options.profile:
        return f"aws configure export-credentials --format env --profile {now.options.profile}"
    if "AWS_ACCESS_KEY_ID" in now.environment:
        return ""
    return "aws configure export-credentials --format env"


def set_enforcement(now: Session, enabled: bool) -> None:
    """Let the local AWS enforce IAM, or not, and say so if that changes anything."""
    from deployer.commands.session import enforce_iam

    change = enforce_iam(now.settings.project, enabled)
    if change:
        now.emit(Note(change))


@dataclass(frozen=True)
class Reviewed:
    """The plan in a file, which is applied exactly or not at all."""

    path: Path
    document: Any

    @classmethod
    def read(cls, path: Path, *, adopt: bool) -> Reviewed:
        from deployer.service.plan_file import read_plan

        document = read_plan(path)
        if adopt and not document["adopt"]:
            raise click.UsageError("--adopt is part of a plan: give it to plan --out")
        return cls(path, document)

    @property
    def adopt(self) -> bool:
        return bool(self.document["adopt"])

    def check_place(self, now: Session) -> None:
        """Raise PlanMoved unless the plan was made for this service, stage and account."""
        from deployer.service.plan_file import check_place

        check_place(self.path, self.document, self._place(now))

    def check(self, now: Session, deployment: Deployment) -> None:
        """Raise PlanMoved unless the plan that was made now is the same."""
        from deployer.service.plan_file import check_same, saved_plan

        check_same(self.path, self.document, saved_plan(deployment, self._place(now)))

    def _place(self, now: Session) -> dict[str, Any]:
        from deployer.service.plan_file import place_of

        return place_of(now.settings, where(now))


def train_if_needed(now: Session, wanted: bool) -> None:
    """Train if `wanted`, or if there are no models here and none are live.

    Raises:
        Declined: there are no models here, but new ones would replace live ones.
    """
    from deployer.project import training
    from deployer.service.inventory import live_functions

    if not wanted:
        if not training.needed(now.settings):
            return
        live = live_functions(now.aws, now.settings)
        if live:
            raise Declined(
                f"there are no models here, but {', '.join(live)} of this service serve some "
                f"already; "
                "training would replace them",
                "put those models back into models/, or agree to train: python -m deployer ... "
                "--train",
            )
    training.train(now.settings, now.emit, now.environment)
