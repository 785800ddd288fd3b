"""The last step of `up`: delete function versions that nothing refers to any more."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor

from deployer.aws.access import Aws
from deployer.engine.apply import RunResult
from deployer.resources.base import Resource
from deployer.resources.lambda_ import KEPT_VERSIONS, Function
from deployer.resources.stepfunctions import StateMachine


def prune(aws: Aws, resources: Sequence[Resource], result: RunResult, pool: Executor) -> None:
    """Delete the old versions of the functions that a run has changed.

    The workflow is asked for the versions that it names after the run has switched it.
    """
    functions = [
        resource
        for resource in resources
        if isinstance(resource, Function)
        and resource.key in result.performed
        and _may_have_surplus(str(result.outputs[resource.key]["version_arn"]))
    ]
    if not functions:
        return
    in_use: set[str] = set()
    for resource in resources:
        if isinstance(resource, StateMachine):
            in_use |= resource.function_versions(aws)
    for future in [pool.submit(function.prune, aws, in_use) for function in functions]:
        future.result()


def _may_have_surplus(version_arn: str) -> bool:
    """Tell whether a function may have too many versions: a number is never given twice."""
    return int(version_arn.rpartition(":")[2]) > KEPT_VERSIONS
