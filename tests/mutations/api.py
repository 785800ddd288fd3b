"""API Gateway."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

MUTATIONS = [
    Mutation(
        "Api-35",
        "resources/apigateway/http_api.py",
        '"stage_tags": f"{api}/stages/{STAGE}"}',
        "}",
        "tag_by_tag",
    ),
    Mutation("Api-1", "resources/apigateway/apis.py", "if len(apis) > 1:", "if False:"),
    Mutation("Api-2", "resources/apigateway/integration.py", '.removeprefix("integrations/")', ""),
    Mutation(
        "Api-3",
        "resources/apigateway/calls.py",
        "if not taken and not answer_lost(error):",
        "if not taken:",
    ),
    Mutation(
        "Api-4",
        "resources/apigateway/calls.py",
        "apigateway:{aws.region}::{path}",
        "apigateway:{aws.region}:{aws.identity.account}:{path}",
    ),
    Mutation(
        "Api-5",
        "resources/apigateway/http_api.py",
        '"Name": self.name,',
        '"Name": self.name, "RouteKey": "POST /",',
    ),
    Mutation("Api-6", "engine/apply.py", "if change.action is Action.REPLACE:", "if False:"),
    Mutation("Api-7", "service/declare.py", 'payload_format="1.0"', 'payload_format="2.0"'),
    Mutation(
        "Api-8",
        "service/declare.py",
        '"StateMachineArn": settings.workflow_arn',
        '"stateMachineArn": settings.workflow_arn',
    ),
    Mutation(
        "Api-9",
        "service/declare.py",
        '"Input": "$request.body"',
        '"Input": "$request.body.instances"',
    ),
    Mutation(
        "Api-10",
        "local/workflow.py",
        "if len(text.encode()) > DATA_LIMIT:",
        "if len(text.encode()) > DATA_LIMIT + 1:",
        "one_byte",
    ),
    Mutation(
        "Api-11",
        "local/workflow.py",
        '"status": execution.status,\n        "input"',
        '"state": execution.status,\n        "input"',
    ),
    Mutation(
        "Api-13",
        "local/executions.py",
        "return execution.result(timeout=timeout_s)",
        "return execution.result()",
    ),
    Mutation(
        "Api-14",
        "resources/apigateway/http_api.py",
        '        put_route(aws, api_id, None, integration_id, authorizer_id, desired["route"])\n'
        '        put_stage(aws, api_id, None, desired["stage"], desired["stage_tags"])\n',
        '        put_stage(aws, api_id, None, desired["stage"], desired["stage_tags"])\n'
        '        put_route(aws, api_id, None, integration_id, authorizer_id, desired["route"])\n',
    ),
    Mutation(
        "Api-15",
        "resources/apigateway/http_api.py",
        'for stale in actual.outputs["stale_route_ids"]:',
        "for stale in ():",
    ),
    Mutation(
        "Api-16",
        "resources/apigateway/calls.py",
        'aws.call("apigatewayv2", operation, **parameters), when=being_changed)',
        'aws.call("apigatewayv2", operation, **parameters), when=lambda error: None)',
        "R-21-UpdateStage",
    ),
    Mutation("Api-17", "resources/apigateway/cors.py", "if cors is None:", "if False:"),
    Mutation(
        "Api-18", "resources/apigateway/cors.py", "parse=_lower, write_as=_upper", "write_as=_upper"
    ),
    Mutation(
        "Api-20",
        "resources/apigateway/integration.py",
        '{**dict.fromkeys(former_parameters, ""), **wanted["parameters"]}',
        'wanted["parameters"]',
    ),
    Mutation(
        "Api-21",
        "resources/apigateway/stage.py",
        'if wanted["access_log"] is None and existing and existing.get("access_log"):',
        "if False:",
        "api",
    ),
    Mutation("Api-25", "service/declare.py", "auto_deploy=True", "auto_deploy=False"),
    Mutation(
        "Api-26",
        "resources/apigateway/stage.py",
        'return message if "fail" in message.lower() else None',
        "return None",
    ),
    Mutation(
        "Api-27",
        "resources/apigateway/stage.py",
        'Member("DefaultRouteSettings.ThrottlingRateLimit")',
        'Member("StageVariables.rate", write_as=str)',
    ),
    Mutation(
        "Api-28",
        "resources/apigateway/stage.py",
        '"DefaultRouteSettings.DetailedMetricsEnabled"',
        '"DefaultRouteSettings.DataTraceEnabled"',
    ),
    Mutation("Api-29", "service/rehearsal.py", "> _ACCESS_LOG_LIMIT or", "> 9999 or"),
    Mutation("Api-30", "aws/pace.py", '"apigatewayv2": (10, 40)', '"apigatewayv2": (1000, 4000)'),
    Mutation(
        "Api-31",
        "project/declared.py",
        'integer(1, 10000), "requests',
        'integer(1, 99999), "requests',
    ),
    Mutation(
        "Api-32",
        "service/advice.py",
        "if refusal.error in _GATEWAYS and refusal.status >= 500:",
        "if False:",
    ),
    Mutation(
        "Api-34",
        "resources/apigateway/integration.py",
        "    return read_members(_MEMBERS, integration) if integration else None",
        '    other = {"connection": (integration or {}).get("ConnectionType")}\n'
        "    return {**read_members(_MEMBERS, integration), **other} if integration else None",
    ),
    Mutation(
        "Api-22",
        "resources/apigateway/routes.py",
        'parameters["AuthorizerId"] = authorizer_id or ""',
        'parameters |= {"AuthorizerId": authorizer_id} if authorizer_id else {}',
        "tokens",
    ),
    Mutation(
        "Api-23",
        "resources/apigateway/authorizer.py",
        '"Name": NAME, **write',
        '"Name": NAME, "EnableSimpleResponses": False, **write',
    ),
    Mutation("Api-24", "service/issuer.py", 'key.get("kty") == "RSA" and', "True and", "finding"),
    Mutation("Api-33", "aws/signing.py", '"execute-api"', '"apigateway"'),
]
