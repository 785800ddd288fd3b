"""Lambda's reserved and provisioned concurrency, of which moto has only a part of the first.

Provisioned concurrency is the control plane's alone: a version has one environment here, whatever
is configured. Its status is IN_PROGRESS until it has been read once (Pc-2).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deployer.local.moto_backend.patching import around
from deployer.local.process import ACCOUNT

LIMIT = 1000  # concurrent executions of an account
_KEPT_UNRESERVED = 100  # Lambda-12
_CONFIGURED = "provisioned_concurrency"  # an attribute of moto's versions
_BELOW = (
    f"decreases account's UnreservedConcurrentExecution below its minimum value of "
    f"[{_KEPT_UNRESERVED}]."
)


class Refused(Exception):
    """An error in AWS's words."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.code = code


@dataclass
class _Provisioned:
    """A version's configuration, and whether its environments are ready."""

    requested: int
    is_ready: bool = False


def mend_reservations() -> None:
    """moto hides a reservation of 0, shows one with versions too, and grants more than there is.

    AWS refuses what leaves less than a hundred to other functions, and less than the function's
    provisioned concurrency (Lambda-12, Lambda-27, Pc-9).
    """
    from moto.awslambda.exceptions import InvalidParameterValueException
    from moto.awslambda.models import LambdaBackend, LambdaFunction

    @around(LambdaFunction, "get_code")
    def get_code(original: Any, self: Any) -> Any:
        answer = {name: value for name, value in original(self).items() if name != "Concurrency"}
        if self.version == "$LATEST" and self.reserved_concurrency is not None:
            answer["Concurrency"] = {"ReservedConcurrentExecutions": self.reserved_concurrency}
        return answer

    @around(LambdaBackend, "put_function_concurrency")
    def put(original: Any, self: Any, function_name: str, reserved_concurrency: int) -> Any:
        function = self.get_function(function_name)
        provisioned = sum(_provisioned_by_version(self, function).values())
        if reserved_concurrency < provisioned:
            raise InvalidParameterValueException(
                f"ReservedConcurrentExecutions {reserved_concurrency} should not be lower than "
                f"function's total provisioned concurrency [{provisioned}]."
            )
        others = _taken(self, except_for=function.function_name)
        if LIMIT - others - reserved_concurrency < _KEPT_UNRESERVED:
            raise InvalidParameterValueException(
                f"Specified ReservedConcurrentExecutions for function {_BELOW}"
            )
        return original(self, function_name, reserved_concurrency)


def account_settings(region: str) -> dict[str, Any]:
    """Answer GetAccountSettings, which moto lacks."""
    from moto.awslambda.models import lambda_backends

    functions = list(lambda_backends[ACCOUNT][region].list_functions())
    reserved = sum(function.reserved_concurrency or 0 for function in functions)
    return {
        "AccountLimit": {
            "ConcurrentExecutions": LIMIT,
            "UnreservedConcurrentExecutions": LIMIT - reserved,
        },
        "AccountUsage": {"FunctionCount": len(functions), "TotalCodeSize": 0},
    }


def configure(
    method: str, name: str, qualifier: str, sent: Mapping[str, Any], region: str
) -> tuple[int, dict[str, Any]]:
    """Answer an operation on provisioned concurrency, which moto lacks: status and content.

    Args:
        qualifier: the version's; "" lists the configurations of all.
        sent: the parameters of PutProvisionedConcurrencyConfig.

    Raises:
        Refused: in AWS's words.
    """
    from moto.awslambda.exceptions import UnknownFunctionException
    from moto.awslambda.models import lambda_backends

    backend = lambda_backends[ACCOUNT][region]
    try:
        function = backend.get_function(name)
        if not qualifier:
            return 200, {"ProvisionedConcurrencyConfigs": list(_listed(backend, function))}
        version = backend.get_function(function.function_name, qualifier)
    except UnknownFunctionException as error:
        text = f"Function not found: {name}"
        raise Refused(404, "ResourceNotFoundException", text) from error
    if method == "PUT":
        _check(backend, function, qualifier, sent["ProvisionedConcurrentExecutions"])
        configured = _Provisioned(sent["ProvisionedConcurrentExecutions"])
        setattr(version, _CONFIGURED, configured)
        return 202, _described(version, configured)
    found: _Provisioned | None = getattr(version, _CONFIGURED, None)
    if found is None and method == "GET":
        text = "No Provisioned Concurrency Config found for this function"
        raise Refused(404, "ProvisionedConcurrencyConfigNotFoundException", text)
    if method == "GET":
        return 200, _read(version)
    if found is not None:
        delattr(version, _CONFIGURED)
    return 204, {}


def _check(backend: Any, function: Any, qualifier: str, wanted: int) -> None:
    """Raise Refused for what AWS does not configure (Pc-1, Pc-6, Pc-9)."""
    if qualifier == "$LATEST":
        text = "Provisioned Concurrency Configs cannot be applied to unpublished function versions."
        raise Refused(400, "InvalidParameterValueException", text)
    if not qualifier.isdigit():
        text = "the local AWS provisions concurrency for versions, not for aliases"
        raise Refused(400, "InvalidParameterValueException", text)
    if wanted < 1:
        text = (
            f"1 validation error detected: Value '{wanted}' at 'provisionedConcurrentExecutions' "
            f"failed to satisfy constraint: Member must have value greater than or equal to 1"
        )
        raise Refused(400, "ValidationException", text)
    by_version = {**_provisioned_by_version(backend, function), qualifier: wanted}
    reserved, total = function.reserved_concurrency, sum(by_version.values())
    if reserved is not None and reserved < total:
        text = (
            "Requested Provisioned Concurrency should not be greater than the "
            "reservedConcurrentExecution for function"
        )
        raise Refused(400, "InvalidParameterValueException", text)
    others = _taken(backend, except_for=function.function_name)
    if reserved is None and LIMIT - others - total < _KEPT_UNRESERVED:
        text = f"Specified ConcurrentExecutions for function {_BELOW}"
        raise Refused(400, "InvalidParameterValueException", text)


def _taken(backend: Any, except_for: str) -> int:
    """Return how many executions the other functions reserve, or hold without reserving any."""
    total = 0
    for function in backend.list_functions():
        if function.function_name == except_for:
            continue
        provisioned = sum(_provisioned_by_version(backend, function).values())
        reserved = function.reserved_concurrency
        total += provisioned if reserved is None else reserved
    return total


def _configured(backend: Any, function: Any) -> Iterator[Any]:
    """Yield the versions of a function that have a configuration."""
    for version in backend.list_versions_by_function(function.function_name):
        if getattr(version, _CONFIGURED, None) is not None:
            yield version


def _provisioned_by_version(backend: Any, function: Any) -> dict[str, int]:
    return {
        str(version.version): getattr(version, _CONFIGURED).requested
        for version in _configured(backend, function)
    }


def _listed(backend: Any, function: Any) -> Iterator[dict[str, Any]]:
    for version in _configured(backend, function):
        yield {"FunctionArn": version.function_arn, **_read(version)}


def _read(version: Any) -> dict[str, Any]:
    """Return the description of a version's configuration; the next one says that it is ready."""
    configured: _Provisioned = getattr(version, _CONFIGURED)
    answer = _described(version, configured)
    configured.is_ready = True
    return answer


def _described(version: Any, configured: _Provisioned) -> dict[str, Any]:
    ready = configured.requested if configured.is_ready else 0
    return {
        "RequestedProvisionedConcurrentExecutions": configured.requested,
        "AvailableProvisionedConcurrentExecutions": ready,
        "AllocatedProvisionedConcurrentExecutions": ready,
        "Status": "READY" if configured.is_ready else "IN_PROGRESS",
        "LastModified": version.last_modified,
    }
