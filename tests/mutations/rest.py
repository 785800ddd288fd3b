"""API Gateway, REST API."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

_API = "resources/apigateway/rest_api.py"
_TEMPLATES = "service/rest_templates.py"
_CONTRACT = "service/rest_contract.py"
_REFUSED = "#set($context.responseOverride.status = 400)"

MUTATIONS = [
    Mutation("Rest-1", _API, '"mode": "overwrite"', '"mode": "merge"'),
    Mutation(
        "Rest-2",
        "resources/apigateway/rest_calls.py",
        'aws.call_once("apigateway", operation',
        'aws.call("apigateway", operation',
    ),
    Mutation("Rest-3", _API, 'if changed(change, "deployed"):', "if False:"),
    Mutation("Rest-4", "service/serving.py", "_IN_SUCCESSION = 3", "_IN_SUCCESSION = 1"),
    Mutation("Rest-5", _TEMPLATES, """.replaceAll("\\\\\\\\'", "'")""", "", "apostrophe"),
    Mutation("Rest-6", _TEMPLATES, '_escaped("$input.body")', """_escaped("$input.json('$')")"""),
    Mutation("Rest-7", _TEMPLATES, _REFUSED, f"{_REFUSED}\n{_REFUSED}"),
    Mutation("Rest-8", _TEMPLATES, '_escaped("$cause")', '"$cause"', "refused"),
    Mutation("Rest-9", _TEMPLATES, '$status == "TIMED_OUT" || ', ""),
    Mutation("Rest-10", _TEMPLATES, '"Throttling"', '"Throttle"'),
    Mutation(
        "Rest-11",
        _CONTRACT,
        "templates={JSON: templates.error(kind, message)}",
        "templates={JSON: '{\"message\": $context.error.messageString}'}",
        "POST",
    ),
    Mutation(
        "Rest-12",
        _CONTRACT,
        '"MISSING_AUTHENTICATION_TOKEN": ("404"',
        '"MISSING_AUTHENTICATION_TOKEN": ("403"',
        "POST",
    ),
    Mutation(
        "Rest-13",
        "resources/apigateway/rest_stage.py",
        "if log is not None and may_log:",
        "if log is not None:",
    ),
    Mutation(
        "Rest-14",
        _CONTRACT,
        "templates.request(settings.workflow_arn)",
        'templates.request(f"{settings.workflow_arn}:1")',
    ),
    Mutation("Rest-15", "aws/pace.py", "_ONE_SERVICE.get(service, service)", "service"),
    Mutation(
        "Rest-16",
        "local/rest_api.py",
        '_Refused("INTEGRATION_TIMEOUT")',
        '_Refused("THROTTLED")',
    ),
    Mutation("Rest-17", _CONTRACT, "if len(_origins(settings)) > 1 else", "if False else"),
    Mutation("Rest-18", _CONTRACT, 'if settings.auth == "iam" else {}', "if False else {}", "rest"),
    Mutation(
        "Key-1",
        "resources/apigateway/rest_keys.py",
        "if key.name == name), None)",
        "if False), None)",
    ),
    Mutation(
        "Key-2",
        "resources/apigateway/rest_definition.py",
        '{"security": [{_KEY_SCHEME: []}]} if method["api_key_required"] else {}',
        "{}",
        "let_in",
    ),
    Mutation("Key-3", "service/callers.py", 'api_id=Ref("api", "api_id")', 'api_id="x"'),
    Mutation(
        "Key-4",
        "resources/apigateway/rest_usage_plan.py",
        "    if stages:\n",
        "    if False:\n",
    ),
    Mutation(
        "Key-5",
        "aws/pace.py",
        '"apigateway:update_usage_plan": (1 / 20, 1)',
        '"x": (1, 1)',
        "rates",
    ),
    Mutation(
        "Key-6",
        "service/keys.py",
        "return NewKey(name, key_id, value)",
        "print(value); return NewKey(name, key_id, value)",
    ),
    Mutation(
        "Key-7",
        _API,
        "if name not in former and name not in open:",
        "if False:",
    ),
    Mutation(
        "Key-8",
        "resources/apigateway/rest_keys.py",
        "for item in items if item and not ours.marks(_tags(item))]",
        "for item in items if False]",
    ),
]
