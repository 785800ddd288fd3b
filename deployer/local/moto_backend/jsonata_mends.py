"""Mends of moto's interpreter: JSONata, the variables of JSONPath states, the context's times.

moto writes the input, the variables and Step Functions' own functions as text before each
expression, and has no evaluator for it. Here the expression is evaluated by the package
jsonata-python, which gets all of these as values.
"""

from __future__ import annotations

import copy
from typing import Any

from deployer.local.moto_backend.patching import around

# The kind of value that a field takes, by the name that moto has for the field, that of its class.
_KINDS = {"ConditionStringJSONata": "boolean"} | {
    f"{field}JSONata": "number" for field in ("TimeoutSeconds", "Seconds", "MaxConcurrency")
}


def apply() -> None:
    """Mend everything; see `mends.apply`."""
    evaluate_expressions()
    name_fields()
    catch_faulty_templates()
    read_variables()
    write_times()


def evaluate_expressions() -> None:
    """moto has no evaluator of JSONata; a fault of an expression is States.QueryEvaluationError.

    Values are handed over as they are: as text, quotes in strings would break them, and whole
    numbers beyond 2^53 would lose digits. moto calls a value of another kind than its field takes
    States.Runtime.
    """
    from moto.stepfunctions.parser.asl.component.common.string import string_expression

    @around(string_expression.StringJSONata, "_eval_body")
    def evaluate(original: Any, self: Any, env: Any) -> None:
        from deployer.local.moto_backend.jsonata_evaluator import EvaluationError, evaluate

        expected = _KINDS.get(str(env.next_field_name))
        try:
            value = evaluate(self.expression.strip(), bindings(env))
        except EvaluationError as error:
            raise query_failure(env, self.expression, str(error)) from error
        if expected and not _is(expected, value):
            fault = f"returned an unexpected result type. Expected '{expected}'."
            raise query_failure(env, self.expression, fault)
        env.stack.append(value)


def name_fields() -> None:
    """moto names the class of a value, not its field, in the cause of an error."""
    from moto.stepfunctions.parser.asl.component.common.assign import assign_template_value
    from moto.stepfunctions.parser.asl.component.common.jsonata import jsonata_template_value

    for values in (
        assign_template_value.AssignTemplateValue,
        jsonata_template_value.JSONataTemplateValue,
    ):
        values._field_name = lambda self: None


def catch_faulty_templates() -> None:
    """moto offers no errors of Output, nor of a Parallel's Arguments, to the state's Catch."""
    from moto.stepfunctions.parser.asl.component.common.error_name import failure_event
    from moto.stepfunctions.parser.asl.component.state.exec import execute_state
    from moto.stepfunctions.parser.asl.component.state.exec.state_parallel import state_parallel

    @around(execute_state.ExecutionState, "_eval_state_output")
    def evaluate_output(original: Any, self: Any, env: Any) -> None:
        try:
            original(self, env)
        except failure_event.FailureEventException as failure:
            if not _caught(self, env, failure.failure_event):
                raise

    @around(state_parallel.StateParallel, "_eval_state")
    def evaluate_state(original: Any, self: Any, env: Any) -> None:
        try:
            if self.parargs is not None:
                self.parargs.eval(env=env)
        except failure_event.FailureEventException as failure:
            if _caught(self, env, failure.failure_event):
                return
            raise
        without = copy.copy(self)
        without.parargs = None  # its value is on the stack, where the input would be
        original(without, env)


def _caught(state: Any, env: Any, event: Any) -> bool:
    """Offer an error of an expression to a state's Catch; tell whether it is caught."""
    from moto.stepfunctions.parser.asl.component.common.catch.catch_outcome import CatchOutcome

    if not state.catch or event.error_name.error_name != "States.QueryEvaluationError":
        return False
    error = state._construct_error_output_value(failure_event=event)
    env.states.set_error_output(error)
    env.states.set_result(error)
    state._handle_catch(env=env, failure_event=event)
    return bool(env.stack[-1] == CatchOutcome.Caught)


def read_variables() -> None:
    """moto evaluates a variable of a JSONPath state, `$name.path`, as JSONata; it is JSONPath."""
    from moto.stepfunctions.parser.asl.component.common.string import string_expression
    from moto.stepfunctions.parser.asl.utils.json_path import extract_json

    @around(string_expression.StringVariableSample, "_eval_body")
    def evaluate(original: Any, self: Any, env: Any) -> None:
        name = self.expression[1:].partition(".")[0].partition("[")[0]
        value = env.variable_store.get(name)
        path = self.expression[1 + len(name) :]
        if path:
            value = extract_json(f"${path}", value)
        env.stack.append(string_expression.copy.deepcopy(value))


def write_times() -> None:
    """moto's context object holds the execution's start as a datetime, which is not JSON."""
    from moto.stepfunctions.parser.backend.execution_worker import ExecutionWorker

    @around(ExecutionWorker, "_get_evaluation_environment")
    def environment(original: Any, self: Any) -> Any:
        env = original(self)
        execution = env.states.context_object.context_object_data["Execution"]
        start = execution["StartTime"].isoformat(timespec="milliseconds")
        execution["StartTime"] = start.replace("+00:00", "Z")
        return env


def _is(kind: str, value: Any) -> bool:
    """Tell whether a value is a boolean, or a number that is not negative."""
    if isinstance(value, bool):
        return kind == "boolean"
    return kind == "number" and isinstance(value, (int, float)) and value >= 0


def bindings(env: Any) -> dict[str, Any]:
    """Return the variables of an expression by name, without $."""
    store = env.variable_store
    return {**store._outer_scope, **store._inner_scope, "states": env.states._states_data}


def query_failure(env: Any, expression: str, fault: str) -> Exception:
    """Return the failure of a state whose expression cannot be evaluated."""
    from moto.stepfunctions.parser.api import EvaluationFailedEventDetails, HistoryEventType
    from moto.stepfunctions.parser.asl.component.common.error_name import (
        failure_event,
        states_error_name,
        states_error_name_type,
    )
    from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails

    error = states_error_name.StatesErrorName(
        typ=states_error_name_type.StatesErrorNameType.StatesQueryEvaluationError
    )
    field = str(env.next_field_name).removesuffix("JSONata").removesuffix("String")
    cause = (
        f"The JSONata expression '{expression.strip()}' specified for the field '{field}' {fault}"
    )
    details = EvaluationFailedEventDetails(cause=cause, error=error.error_name)
    event = failure_event.FailureEvent(
        env=env,
        error_name=error,
        event_type=HistoryEventType.EvaluationFailed,
        event_details=EventDetails(evaluationFailedEventDetails=details),
    )
    exception: Exception = failure_event.FailureEventException(failure_event=event)
    return exception
