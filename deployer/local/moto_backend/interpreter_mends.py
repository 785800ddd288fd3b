"""Mends of moto's interpreter of state machines: errors, a missing operation, and speed.

remember_parsed, copy_json and release_threads only save time and memory; all tests of
tests/ml/test_state_machine.py run with them. The others are tested like those in `mends`.
"""

from __future__ import annotations

import copy
import functools
import json
import re
from collections import deque
from collections.abc import Callable
from importlib import import_module
from types import SimpleNamespace
from typing import Any

from deployer.local.moto_backend import jsonata_mends
from deployer.local.moto_backend.patching import around, remember

_TERMINAL = ("States.DataLimitExceeded", "States.Runtime")
# The Resource of a task that waits, in a definition's text.
_WAITING = re.compile(
    r'"Resource"\s*:\s*"(arn:[^"]+(?:\.sync(?::2)?|\.waitForTaskToken|:activity:[^"]+))"'
)
_ATOMS = {str, int, float, bool, type(None)}


CheckTask = Callable[[str, str], None]  # takes the ARNs of a role and of a function


def check_nothing(role: str, function: str) -> None:
    """Let every role invoke every function."""


def apply(
    invoke: Callable[[str, bytes], tuple[bytes, str | None]], check: CheckTask = check_nothing
) -> None:
    """Mend everything; see `mends.apply`."""
    invoke_directly(invoke, check)
    name_task_errors()
    keep_terminal_errors()
    validate_definitions()
    find_nothing_by_filters()
    remember_parsed()
    copy_json()
    release_threads()
    jsonata_mends.apply()


def find_nothing_by_filters() -> None:
    """moto fails where a filter of a path matches nothing; AWS gives an empty list (Sfn-35)."""
    from moto.stepfunctions.parser.asl.utils import json_path

    @around(json_path, "_contains_slice_or_wildcard_array")
    def may_be_empty(original: Any, path: str) -> bool:
        return "[?" in path or bool(original(path))


def remember_parsed() -> None:
    """moto parses a definition whenever it is written or executed, and a path when evaluated.

    That is most of a request's time. The parsed program keeps nothing of an execution: an
    execution's data, and the attempts of its retries, are in its environment. Of a definition
    that is written, moto only asks whether it is valid.
    """
    from moto.stepfunctions.parser.asl.component.common.path import result_path
    from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser
    from moto.stepfunctions.parser.asl.utils import json_path
    from moto.stepfunctions.parser.backend.execution_worker import ExecutionWorker
    from moto.stepfunctions.parser.models import StepFunctionsParserBackend

    for module in (result_path, json_path):
        remember(module, "parse", 1024)
    remember(StepFunctionsParserBackend, "_validate_definition", 32)

    @functools.lru_cache(maxsize=32)
    def program(definition: str) -> Any:
        return AmazonStateLanguageParser.parse(definition)[0]

    @around(ExecutionWorker, "_get_evaluation_entrypoint")
    def entry(original: Any, self: Any) -> Any:
        return program(self._evaluation_details.state_machine_details.definition)


def copy_json() -> None:
    """moto deep-copies an execution's data dozens of times; for JSON, a faster copy will do."""
    from moto.stepfunctions.parser.asl.component.common.path import result_path
    from moto.stepfunctions.parser.asl.component.common.string import string_expression
    from moto.stepfunctions.parser.asl.component.state.exec import execute_state
    from moto.stepfunctions.parser.asl.component.state.exec.state_parallel import state_parallel
    from moto.stepfunctions.parser.asl.eval import environment, states
    from moto.stepfunctions.parser.asl.eval.event import event_manager

    plain = SimpleNamespace(deepcopy=copy_of)
    for module in (
        result_path,
        string_expression,
        execute_state,
        state_parallel,
        environment,
        states,
        event_manager,
    ):
        module.copy = plain


def copy_of(value: Any) -> Any:
    """Return a deep copy of a JSON value; other values are left to `copy.deepcopy`."""
    kind = type(value)
    if kind in _ATOMS:
        return value
    if kind is dict:
        return {key: copy_of(member) for key, member in value.items()}
    return [copy_of(item) for item in value] if kind is list else copy.deepcopy(value)


def release_threads() -> None:
    """moto keeps all threads of executions, and with them the executions' data, for ever.

    It also names the thread of a parallel branch after the branch's whole program.
    """
    from moto.stepfunctions.parser.asl.component.program import program
    from moto.stepfunctions.parser.asl.component.state.exec import execute_state
    from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration import (
        inline_iteration_component,
    )
    from moto.stepfunctions.parser.asl.component.state.exec.state_parallel import branch_worker
    from moto.stepfunctions.parser.backend import execution_worker

    for module in (
        program,
        execute_state,
        inline_iteration_component,
        branch_worker,
        execution_worker,
    ):
        module.TMP_THREADS = deque(maxlen=0)
    program.Program.__str__ = lambda self: f"({type(self).__name__})"


def invoke_directly(
    invoke: Callable[[str, bytes], tuple[bytes, str | None]], check: CheckTask = check_nothing
) -> None:
    """moto makes a boto3 client for each task, which costs more than the prediction.

    Tasks of `lambda:invoke` come here, too, and may be without a Payload.
    """
    from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils

    def call(parameters: dict[str, Any], region: str, state_credentials: Any) -> dict[str, Any]:
        function = parameters["FunctionName"]
        check(state_credentials.role_arn, function)
        payload, function_error = invoke(function, parameters.get("Payload", b"{}"))
        answer: dict[str, Any] = {
            "ExecutedVersion": function.split(":")[7] if function.count(":") == 7 else "$LATEST",
            "StatusCode": 200,
            "Payload": json.loads(payload),
        }
        return {**answer, "FunctionError": function_error} if function_error else answer

    lambda_eval_utils._invoke_lambda_function = call


def name_task_errors() -> None:
    """moto names every refused invocation "Exception", not Lambda.<code> (Sfn-28)."""
    from botocore.exceptions import ClientError
    from moto.stepfunctions.parser.asl.component.state.exec import state_task
    from moto.stepfunctions.parser.asl.component.state.exec.state_task import state_task_lambda

    # Its name alone is longer than a line.
    service = import_module(f"{state_task.__name__}.service.state_task_service_lambda")

    @around(state_task_lambda.StateTaskLambda, "_from_error")
    def from_error(original: Any, self: Any, env: Any, ex: Exception) -> Any:
        failure = original(self, env=env, ex=ex)
        if isinstance(ex, ClientError):
            is_denied = ex.response["Error"]["Code"] == "AccessDeniedException"
            error, cause = service.StateTaskServiceLambda._error_cause_from_client_error(ex)
            if is_denied:  # a task that names the function itself gets this name (Sfn-28)
                error = "Lambda.AWSLambdaException"
            failure.error_name.error_name = error
            details = failure.event_details["lambdaFunctionFailedEventDetails"]
            details["error"], details["cause"] = error, cause
        return failure


def keep_terminal_errors() -> None:
    """In moto, States.ALL also matches errors that it does not match on AWS (Sfn-25).

    And such an error cannot leave a branch, because moto takes its name for one of the user's.
    """
    from moto.stepfunctions.parser.asl.component.common.error_name import (
        custom_error_name,
        error_equals_decl,
    )

    @around(custom_error_name.CustomErrorName, "__init__")
    def init(original: Any, self: Any, error_name: str | None) -> None:
        if error_name in _TERMINAL:
            self.error_name = error_name
        else:
            original(self, error_name)

    @around(error_equals_decl.ErrorEqualsDecl, "_eval_body")
    def eval_body(original: Any, self: Any, env: Any) -> None:
        name = env.stack[-1].error_name
        original(self, env)
        if name in _TERMINAL:
            env.stack[-1] = any(own.error_name == name for own in self.error_names)


def validate_definitions() -> None:
    """moto has no ValidateStateMachineDefinition; its interpreter's parser can answer it.

    As EXPRESS, Step Functions also refuses to wait for a job, a callback or an activity (Sfn-7).
    """
    from moto.core.responses import ActionResult
    from moto.stepfunctions.parser.api import InvalidDefinition
    from moto.stepfunctions.parser.models import StepFunctionsParserBackend
    from moto.stepfunctions.responses import StepFunctionResponse

    def validate_state_machine_definition(self: Any) -> Any:
        definition = self._get_param("definition")
        problems = []
        try:
            StepFunctionsParserBackend._validate_definition(definition=definition)
        except InvalidDefinition as error:
            problems.append(str(error.message))
        else:
            waiting = _WAITING.findall(definition)
            if self._get_param("type") == "EXPRESS" and waiting:
                problems.append(f"Express state machine does not support '{waiting[0]}'")
        diagnostics = [
            {"severity": "ERROR", "code": "SCHEMA_VALIDATION_FAILED", "message": problem}
            for problem in problems
        ]
        result = "FAIL" if problems else "OK"
        return ActionResult({"result": result, "diagnostics": diagnostics, "truncated": False})

    StepFunctionResponse.validate_state_machine_definition = validate_state_machine_definition
