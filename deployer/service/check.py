"""`check`: everything that can be known before the first write, found at once. Most of it without
AWS.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Executor

from deployer.aws.access import Aws
from deployer.engine.apply import read_all
from deployer.engine.compare import canonical_json
from deployer.engine.events import Emit, Note
from deployer.engine.plan import resolve
from deployer.errors import AwsError, BuildError, ConfigError, DeployerError, ForeignResource
from deployer.images.predictions import prediction_check
from deployer.project.settings import Settings
from deployer.project.training import needed
from deployer.service import declare
from deployer.service.rehearsal import rehearse, stand_in
from deployer.service.release import MANIFEST, Project, load_project
from deployer.service.runs import read_project

# Loads each model as a function would, in a process of its own: a file that cannot be loaded may
# take its process along.
_LOAD = """
import json, sys, warnings
import joblib
warnings.simplefilter("error")
found = {}
for name in sys.argv[1:]:
    try:
        model = joblib.load(f"models/{name}.joblib")
        found[name] = {"features": getattr(model, "n_features_in_", None), "predicts": hasattr(model, "predict")}
    except Exception as error:
        found[name] = {"error": f"{type(error).__name__}: {error}"}
print(json.dumps(found))
"""


def all_findings(
    aws: Aws, settings: Settings, pool: Executor, emit: Emit, *, offline: bool
) -> list[str]:
    """Return everything that was found, a line for each; `offline`: without looking at the account."""
    project, found = project_findings(settings, emit, offline=offline)
    if project is not None:
        found += rehearse(aws, settings, declare.declare(settings, project))
        if not offline:
            found += account_findings(aws, settings, project, pool, emit)
    return found


def project_findings(
    settings: Settings, emit: Emit, *, offline: bool
) -> tuple[Project | None, list[str]]:
    """Check the user's folder; return the project, if it is sound enough to go on with, and what
    was found.
    """
    try:
        if needed(settings):
            return None, [
                f"there are no models: train them with {settings.train} (up does so by itself)"
            ]
        project = load_project(settings) if offline else read_project(settings, emit, write=False)
    except ConfigError as error:
        return None, list(error.problems)
    except DeployerError as error:
        return None, [error.message]
    return project, [*_model_findings(settings, project), *_prediction_findings(project, emit)]


def _model_findings(settings: Settings, project: Project) -> Iterator[str]:
    """Load every model with this Python's libraries, which are to be those that trained and those
    of the image (PRE-10).
    """
    command = [sys.executable, "-c", _LOAD, *project.models]
    done = subprocess.run(command, cwd=settings.project, capture_output=True, text=True)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        yield f"models: they cannot be loaded here: {last}"
        return
    for name, found in json.loads(done.stdout.splitlines()[-1]).items():
        expected = len(project.models[name].features)
        if "error" in found:
            yield (
                f"models/{name}.joblib: cannot be loaded: {found['error']}; run train.py with "
                f"this environment's libraries"
            )
        elif not found["predicts"]:
            yield f"models/{name}.joblib: has no predict"
        elif found["features"] not in (None, expected):
            yield (
                f"models/{name}.joblib: wants {found['features']} features, but {MANIFEST} "
                f"names {expected}"
            )


def _prediction_findings(project: Project, emit: Emit) -> Iterator[str]:
    """Let each image's context compare what its handler predicts with what its models do."""

    def tell(text: str, *, lasting: bool = False) -> None:
        emit(Note(text))

    for key, context in project.images.items():
        with prediction_check(context, project.served_by(key), tell) as verified:
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
    aws: Aws, settings: Settings, project: Project, pool: Executor, emit: Emit
) -> list[str]:
    """Look at the account, read only: what is in the way, which quotas would not do, what AWS says
    of the workflow.
    """
    resources = declare.declare(settings, project)
    refused: dict[str, ForeignResource] = {}
    found: list[str] = []
    try:
        actual = read_all(aws.remembering(), resources, pool, refused)
        missing = {key.partition("/")[0] for key, state in actual.items() if state is None}
    except AwsError as error:
        return [error.message]
    found += [f"{key}: {error.message}" for key, error in refused.items()]
    for look in (_roles, _concurrency, _workflow):
        try:
            found += look(aws, settings, project, missing)
        except AwsError as error:  # Sfn-9, PRE-16: whoever may not ask is told so, and no more
            emit(Note(f"not checked: {error.message}"))
    return found


def _roles(aws: Aws, settings: Settings, project: Project, missing: set[str]) -> Iterator[str]:
    counts = aws.call("iam", "get_account_summary")["SummaryMap"]
    free = counts.get("RolesQuota", 0) - counts.get("Roles", 0)
    if "role" in missing and "RolesQuota" in counts and free < 3:
        yield (
            f"the account has room for {free} more IAM roles, but three are needed: raise the "
            f"quota (Iam-11)"
        )


def _concurrency(
    aws: Aws, settings: Settings, project: Project, missing: set[str]
) -> Iterator[str]:
    limit = aws.call("lambda", "get_account_settings")["AccountLimit"]
    free = limit.get("UnreservedConcurrentExecutions", limit.get("ConcurrentExecutions", 0))
    wanted = len(project.functions)
    if free < wanted:
        yield (
            f"Lambda runs at most {free} requests at once in {settings.region}, but one request "
            f"to this service is "
            f"{wanted}: raise the quota for concurrent executions (Lambda-28)"
        )


def _workflow(aws: Aws, settings: Settings, project: Project, missing: set[str]) -> Iterator[str]:
    definition = resolve(
        declare.workflow(settings, project).fields["definition"],
        lambda ref: stand_in(settings, ref),
    )
    answer = aws.call(
        "stepfunctions",
        "validate_state_machine_definition",
        definition=canonical_json(definition),
        type="EXPRESS",  # Sfn-8: else what EXPRESS alone refuses is missed
    )
    if answer["result"] != "OK":
        for each in answer.get("diagnostics", ()):
            yield (
                f"state_machine.json: {each.get('location', '$')}: {each.get('code')}: "
                f"{each.get('message')}"
            )
