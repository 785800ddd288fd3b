"""`check` without a terminal: find all faults before the first write, most of them without AWS."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial

from deployer.aws.access import Aws
from deployer.engine.apply import Actual, read_all
from deployer.engine.events import Emit, Note, as_notes
from deployer.errors import AwsError, BuildError, ConfigError, DeployerError, ForeignResource
from deployer.images.build import check_buildable
from deployer.images.context import NO_BASE, Context
from deployer.images.pins import read_lock
from deployer.images.predictions import prediction_check
from deployer.images.recipe import requirement_files
from deployer.images.requirements import target_environment, with_gpu
from deployer.project.contexts import base_warnings, lock_file
from deployer.project.expressions import unchecked
from deployer.project.settings import Settings
from deployer.project.training import needed, outdated
from deployer.project.workflow import uncaught
from deployer.service import alarm_topic, callers, declare, issuer
from deployer.service.examples import ask_examples, texts, without_example
from deployer.service.provisioning import UNRESERVED, taken
from deployer.service.rehearsal import rehearse
from deployer.service.release import Release, load_release, read_release
from deployer.service.validation import workflow_findings


def all_findings(
    aws: Aws, settings: Settings, pool: Executor, emit: Emit, *, offline: bool
) -> list[str]:
    """Return all findings, a line for each.

    Args:
        offline: whether to look at the user's folder alone, not at the account.
    """
    release, findings = project_findings(settings, emit, offline=offline)
    if release is not None:
        findings += rehearse(aws, settings, declare.declare(settings, release))
        if not offline:
            findings += account_findings(aws, settings, release, pool, emit)
    return findings


def project_findings(
    settings: Settings, emit: Emit, *, offline: bool
) -> tuple[Release | None, list[str]]:
    """Check the user's folder; return its release, None if it cannot be read, and the findings."""
    try:
        if needed(settings):
            return None, [
                f"there are no models: train them with {settings.train} (up does so by itself)"
            ]
        release = load_release(settings) if offline else read_release(settings, emit, write=False)
    except ConfigError as error:
        return None, list(error.problems)
    except DeployerError as error:
        return None, [error.message]
    contexts = _contexts_for_aws(settings, release)
    told = list(outdated(settings)) if offline else []  # else read_release has
    if offline or settings.bare:
        told += base_warnings(contexts)
    refused = list(_build_findings(settings, contexts))
    if settings.bare:  # the local AWS needs no builder: `up --local` works all the same
        told += (f"warning: without --local, up refuses this: {line}" for line in refused)
        refused = list(_build_findings(settings, release.contexts))
    warned = (*_warnings(release), *callers.warnings(settings))
    for line in (*told, *without_example(release), *warned):
        emit(Note(line))
    findings = refused or texts(ask_examples(settings, release, release.names))
    return release, [*findings, *_prediction_findings(release, contexts, emit)]


def _contexts_for_aws(settings: Settings, release: Release) -> Mapping[str, Context]:
    """Return the build contexts that the images have on AWS, by key."""
    if not settings.bare:
        return release.contexts
    return load_release(replace(settings, bare=False)).contexts


def _build_findings(settings: Settings, contexts: Mapping[str, Context]) -> Iterator[str]:
    """Yield what the chosen builder refuses of Dockerfiles, requirements and the lock file."""
    checks: list[Callable[[], object]] = [
        partial(check_buildable, settings.builder, context) for context in contexts.values()
    ]
    if any(context.base != NO_BASE for context in contexts.values()):
        checks.append(partial(read_lock, lock_file(settings)))
    for check in checks:
        try:
            check()
        except BuildError as error:
            yield f"{error.message}; {error.advice}" if error.advice else error.message


def _warnings(release: Release) -> Iterator[str]:
    """Yield what AWS would take and a reader should know; it is no finding."""
    unchecked_because = unchecked(release.definition)
    if unchecked_because:
        yield unchecked_because
    yield from (f"warning: {warning}" for warning in uncaught(release.definition))
    for context in release.contexts.values():
        environment = target_environment(context.python, context.architecture)
        for warning in with_gpu(requirement_files(context), environment):
            yield f"warning: {warning}"


def _prediction_findings(
    release: Release, contexts: Mapping[str, Context], emit: Emit
) -> Iterator[str]:
    """Compare the handler's predictions with scikit-learn's, in each image's build context."""

    for key, context in contexts.items():
        with prediction_check(context, release.model_files(key), as_notes(emit)) as verified:
            try:
                verified()
            except BuildError as error:
                what, *problems = error.message.splitlines()
                for problem in problems or [what]:
                    yield (
                        f"{what.rstrip(':')}: {problem}; {error.advice}"
                        if problems
                        else f"{what}; {error.advice}"
                    )


def account_findings(
    aws: Aws, settings: Settings, release: Release, pool: Executor, emit: Emit
) -> list[str]:
    """Read the account: foreign resources, quotas, and AWS's own check of the workflow."""
    resources = declare.declare(settings, release)
    refused: dict[str, ForeignResource] = {}
    findings: list[str] = []
    try:
        actual = read_all(aws.remembering(), resources, pool, refused)
    except AwsError as error:
        return [error.message]
    findings += [f"{key}: {error.message}" for key, error in refused.items()]
    for look in (_roles, _concurrency, _workflow, _issuer, _alarm_topic):
        try:
            findings += look(aws, settings, release, actual)
        # Sfn-9, PRE-16: whoever may not ask is told so, and no more.
        except (AwsError, issuer.Unknown, alarm_topic.Unknown) as error:
            emit(Note(f"not checked: {error.message}"))
    return findings


def _roles(aws: Aws, settings: Settings, release: Release, actual: Actual) -> Iterator[str]:
    counts = aws.call("iam", "get_account_summary")["SummaryMap"]
    free = counts.get("RolesQuota", 0) - counts.get("Roles", 0)
    missing = [key for key, state in actual.items() if key.startswith("role/") and state is None]
    if missing and "RolesQuota" in counts and free < 3:
        yield (
            f"the account has room for {free} more IAM roles, but three are needed: raise the "
            f"quota"  # Iam-11
        )


def _concurrency(aws: Aws, settings: Settings, release: Release, actual: Actual) -> Iterator[str]:
    limit = aws.call("lambda", "get_account_settings")["AccountLimit"]
    most = limit.get("ConcurrentExecutions", 0)
    free = limit.get("UnreservedConcurrentExecutions", most)
    wanted = len(release.functions)
    if free < wanted:
        yield (
            f"Lambda runs at most {free} requests at once in {settings.region}, but one request "
            f"to this service is "
            f"{wanted}: raise the quota for concurrent executions"  # Lambda-28
        )
    reserved = sum(
        state.fields.get("reserved_concurrency") or 0
        for key, state in actual.items()
        if key.startswith("function/") and state is not None
    )
    own = taken(settings, release.names)
    left, kept = free + reserved - own, min(UNRESERVED, most)
    if own and left < kept:
        yield (
            f"reserved_concurrency and provisioned_concurrency take {own} of Lambda's concurrent "
            f"executions and leave {left} in {settings.region}, but AWS keeps {kept} for functions "
            f"that reserve none: lower them, or raise the quota"  # Lambda-12
        )


def _issuer(aws: Aws, settings: Settings, release: Release, actual: Actual) -> Iterator[str]:
    if settings.auth == "jwt":
        problem = issuer.finding(settings.jwt_issuer or "", on_aws=aws.endpoint is None)
        yield from [problem] if problem else []


def _alarm_topic(aws: Aws, settings: Settings, release: Release, actual: Actual) -> Iterator[str]:
    problem = alarm_topic.finding(aws, settings)
    yield from [problem] if problem and not alarm_topic.is_elsewhere(settings) else []


def _workflow(aws: Aws, settings: Settings, release: Release, actual: Actual) -> Iterator[str]:
    return workflow_findings(aws, settings, declare.workflow(settings, release))
