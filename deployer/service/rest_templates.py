"""The mapping templates of the REST API, in the Velocity Template Language (VTL). Pure.

What holds for all of them:

- they name no feature and no model, so a release never changes them, and `$` or `#` in a name of
  the user's is data (Rest-8);
- a value that may be absent stands in a string, as in "$!entry.model" == "", because engines differ
  on `#if($absent)`;
- each override is set at most once: API Gateway answers a second one with 500 (Rest-7);
- `$util.escapeJavaScript` also writes \\', which is not JSON, hence the replacement (Rest-5).
"""

from __future__ import annotations

import json
from collections.abc import Collection

from deployer.project.answers import MEMBERS


def request(workflow_arn: str) -> str:
    """Return the request of StartSyncExecution: the body as it came, digits included (Rest-6)."""
    body = _escaped("$input.body")
    return (
        f'{{"stateMachineArn": "{workflow_arn}", "name": "$context.requestId", "input": "{body}"}}'
    )


def _escaped(reference: str) -> str:
    """Return an expression for a text between the quotes of a JSON string."""
    return f"""$util.escapeJavaScript({reference}).replaceAll("\\\\'", "'")"""


def error(kind: str, message: str) -> str:
    """Return the one shape of error, as a template without variables."""
    return json.dumps({"error": {"type": kind, "message": message}})


def _failure(status: int, kind: str, message: str) -> str:
    """Return the lines that answer with another status."""
    return f"#set($context.responseOverride.status = {status})\n{error(kind, message)}"


_ANSWERED = "".join(f"$!entry.{name}" for name in ("error", "skipped", *MEMBERS))

# The execution ended. A list with an entry per model is put into `results`; an output of another
# shape, which a workflow of the user's own returns, goes out as it is.
_SUCCEEDED = f"""\
#set($output = $input.path('$.output'))
#set($entries = 0)
#set($models = 0)
#set($failed = 0)
#if($output.startsWith("["))
#foreach($entry in $util.parseJson($output))
#set($entries = $entries + 1)
#if("$!entry.model" != "" && "{_ANSWERED}" != "")
#set($models = $models + 1)
#end
#if("$!entry.error" != "")
#set($failed = $failed + 1)
#end
#end
#end
#if($entries > 0 && $entries == $models)
#if($failed > 0)
#set($context.responseOverride.header.x-models-failed = "$failed")
#end
{{"results": $output}}
#else
$output
#end"""

# Lambda wraps the message of an error into JSON, beside its stack trace: only the message leaves.
_REFUSED = f"""\
#set($context.responseOverride.status = 400)
#set($cause = "$!input.path('$.cause')")
#if($cause.startsWith("{{") && $cause.contains('"errorMessage"'))
#set($cause = "$!util.parseJson($cause).errorMessage")
#end
{{"error": {{"type": "InvalidInput", "message": "{_escaped("$cause")}"}}}}"""

_WORKFLOW_FAILED = """\
#set($context.responseOverride.status = 500)
#if($error == "")
#set($kind = '"WorkflowFailed"')
#else
#set($kind = $input.json('$.error'))
#end
{"error": {"type": $kind, "message": \
"the workflow failed; its log tells the cause under the id in x-request-id"}}"""

_TIMED_OUT = _failure(504, "TimedOut", "the models did not answer in time")
_NO_MODEL = _failure(502, "NoModelAnswered", "no model could answer; try again later")


def execution() -> str:
    """Return the answer to an execution that ended, whether well or not (Api-12, Rest-9)."""
    return f"""\
#set($status = "$!input.path('$.status')")
#set($error = "$!input.path('$.error')")
#if($status == "SUCCEEDED")
{_SUCCEEDED}
#elseif($status == "TIMED_OUT" || $error == "States.Timeout")
{_TIMED_OUT}
#elseif($error == "InvalidInput")
{_REFUSED}
#elseif($error == "NoModelAnswered")
{_NO_MODEL}
#else
{_WORKFLOW_FAILED}
#end"""


NOT_JSON = error("InvalidInput", "the body is not JSON")
BUSY = "too many requests; try again later"
TOO_LARGE = "the body has more than 262,144 bytes"
INTERNAL = "the service failed; its log tells the cause under the id in x-request-id"
UNAVAILABLE = error("ServiceUnavailable", "the service is not available; try again later")


def refusal() -> str:
    """Return the answer to a 400 of StartSyncExecution itself, by its error's name (Rest-10)."""
    return f"""\
#set($refusal = "$!input.path('$.__type')")
#if($refusal.contains("InvalidExecutionInput"))
{NOT_JSON}
#elseif($refusal.contains("Throttling") || $refusal.contains("LimitExceeded"))
{_failure(429, "TooManyRequests", BUSY)}
#elseif($refusal.contains("ValidationException"))
{_failure(413, "TooLarge", TOO_LARGE)}
#else
{_failure(500, "InternalError", INTERNAL)}
#end"""


def allowing(origins: Collection[str], template: str) -> str:
    """Return a template that names the request's origin as allowed if it is one of several."""
    among = " || ".join(f'$origin == "{origin}"' for origin in origins)
    return f"""\
#set($origin = $input.params("Origin"))
#if($origin == "")
#set($origin = $input.params("origin"))
#end
#if({among})
#set($context.responseOverride.header.Access-Control-Allow-Origin = $origin)
#end
{template}""".rstrip()
