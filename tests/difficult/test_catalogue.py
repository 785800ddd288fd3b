"""Behaviours of the real AWS that no other test shows, cited by their ids of
docs/aws-behaviours.md.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, unquote

import pytest

from deployer.errors import ApplyFailed, AwsError, ConfigError, InvocationFailed
from deployer.project.settings import FunctionSettings
from deployer.service import declare
from deployer.service.advice import advice
from deployer.service.check import all_findings
from deployer.service.invoke import Client
from deployer.service.up import Deployment, plan_up
from tests.support.deployments import Service
from tests.support.picture import picture
from tests.support.serial import SerialExecutor
from tests.support.stub import Quiet, serve
from tests.support.troubles import Always
from tests.support.wire import Answer, Call, Forward


def sent(service: Service, operation: str) -> list[Call]:
    return [call for call in service.account.calls if call.operation == operation]


@pytest.mark.parametrize(
    ("region", "constraint"), [("us-east-1", None), ("eu-west-1", "eu-west-1")]
)
def test_a_bucket_names_its_region_except_in_the_first_one(
    service: Service, region: str, constraint: str | None
) -> None:
    """S3-1, TEST-16."""
    bucket = declare.bucket(service.settings)
    made: dict[str, Any] = {}

    class Recorded:
        def __init__(self, region: str) -> None:
            self.region = region

        def call(self, api: str, operation: str, **parameters: Any) -> Any:
            made.setdefault(operation, parameters)

        def retry(self, call: Any, **_: Any) -> Any:
            return call()

    bucket.create(Recorded(region), bucket.fields)  # type: ignore[arg-type]  # stands in for Aws
    found = made["create_bucket"].get("CreateBucketConfiguration")
    assert found == (None if constraint is None else {"LocationConstraint": constraint})


def test_every_call_on_the_bucket_names_its_owner(service: Service) -> None:
    """S3-4: a bucket of this name that is somebody else's answers 403, not with success."""
    service.up()
    service.down()
    assert sent(service, "PutObject") and sent(service, "DeleteObjects")
    calls = [
        call
        for call in service.account.calls
        if call.service == "s3" and call.operation != "CreateBucket"
    ]
    assert calls
    assert {call.headers.get("x-amz-expected-bucket-owner") for call in calls} <= {
        "123456789012",
        b"123456789012",
    }


def test_a_setting_that_is_not_configured_is_an_error_of_s3_and_a_difference_here(
    service: Service,
) -> None:
    """S3-10."""
    service.up()
    aws, bucket = service.account.aws(), service.settings.bucket
    aws.call("s3", "delete_bucket_policy", Bucket=bucket)
    aws.call("s3", "delete_bucket_encryption", Bucket=bucket)
    aws.call("s3", "delete_public_access_block", Bucket=bucket)
    (change,) = service.plan().effective
    assert {field.path for field in change.fields} == {
        "policy",
        "encryption",
        "public_access_block",
    }
    service.up()
    assert service.plan().is_empty


def test_log_groups_functions_and_roles_come_before_what_would_miss_them(service: Service) -> None:
    """GEN-13, Api-14, Api-15, ECR-8."""
    service.up()
    made = [call.operation for call in service.account.calls if call.writes]

    def last(operation: str) -> int:
        return len(made) - 1 - made[::-1].index(operation)

    assert made.index("CreateBucket") < made.index("PutObject")
    assert made.index("SetRepositoryPolicy") < made.index("PutImage") < made.index("CreateFunction")
    assert last("CreateLogGroup") < made.index("CreateStateMachine")
    assert last("PublishVersion") < made.index("CreateStateMachine") < made.index("CreateApi")
    assert made.index("CreateIntegration") < made.index("CreateRoute") < made.index("CreateStage")


def test_users_are_deleted_before_what_they_use(service: Service) -> None:
    """GEN-14, GEN-15, Logs-9: functions and workflow go before their roles and log groups."""
    service.up()
    service.account.calls.clear()
    service.down()
    calls = [call for call in service.account.calls if call.writes]

    def first(operation: str, text: str) -> int:
        return next(
            n for n, call in enumerate(calls) if call.operation == operation and call.says(text)
        )

    api, machine, function = (
        first("DeleteApi", "apis"),
        first("DeleteStateMachine", "inference-dev"),
        first("DeleteFunction", "random-forest"),
    )
    assert api < first("DeleteRole", "us-east-1-api") and api < machine < first(
        "DeleteRole", "us-east-1-workflow"
    )
    assert machine < function < first("DeleteRole", "us-east-1-functions")
    assert function < first("DeleteLogGroup", "/aws/lambda/inference-dev-random-forest")
    assert calls[-1].operation in (
        "DeleteBucket",
        "DeleteRepository",
        "DeleteRole",
        "DeleteLogGroup",
    )


def test_a_function_that_fails_to_start_says_why(service: Service) -> None:
    """Lambda-4."""

    def failing(call: Call, forward: Forward) -> Answer | None:
        answer = forward(call)
        if call.operation == "GetFunction" and answer.succeeded:
            found = answer.json
            reason = {
                "StateReasonCode": "ImageAccessDenied",
                "StateReason": "Lambda may not pull the image.",
            }
            found["Configuration"] |= {"State": "Failed", **reason}
            return answer.with_json(found)
        return answer

    service.account.troubles = [failing]
    with pytest.raises(ApplyFailed, match="ImageAccessDenied: Lambda may not pull the image."):
        service.up()


def test_a_version_is_published_of_the_image_that_was_just_set(service: Service) -> None:
    """Lambda-16, Lambda-17, TEST-5: held to the digest, so that no stale id is ever needed."""
    service.up()
    created, published = sent(service, "CreateFunction"), sent(service, "PublishVersion")
    digests = {call.json["Code"]["ImageUri"].partition("@sha256:")[2] for call in created}
    assert digests == {call.json["CodeSha256"] for call in published}
    assert all("RevisionId" not in call.json for call in (*created, *published))


def test_a_function_is_given_an_image_by_digest_and_its_architecture_by_name(
    service: Service,
) -> None:
    """Img-11, Img-12, Lambda-7, Lambda-8."""
    service.up()
    for call in sent(service, "CreateFunction"):
        assert "@sha256:" in call.json["Code"]["ImageUri"] and call.json["Architectures"] == [
            "x86_64"
        ]
        assert not {"Runtime", "Handler", "Layers"} & set(call.json)


def test_a_removed_variable_is_sent_as_the_whole_rest(service: Service) -> None:
    """GEN-9, Lambda-10: absent is unchanged for the call, but the map is replaced whole."""
    service.up()
    aws = service.account.aws()
    name = service.settings.function_name("random_forest")
    found = aws.call("lambda", "get_function_configuration", FunctionName=name)["Environment"][
        "Variables"
    ]
    aws.call(
        "lambda",
        "update_function_configuration",
        FunctionName=name,
        Environment={"Variables": {**found, "X": "1"}},
    )
    service.account.calls.clear()
    service.up()
    (call,) = sent(service, "UpdateFunctionConfiguration")
    assert call.json == {"Environment": {"Variables": found}}


def test_an_update_of_the_workflow_repeats_definition_and_role_and_turns_off_what_is_gone(
    service: Service,
) -> None:
    """Sfn-1, Sfn-10, Sfn-11, TEST-8."""
    service.up(tracing=True)
    service.account.calls.clear()
    service.up()
    assert sent(service, "CreateStateMachine") == []
    (call,) = sent(service, "UpdateStateMachine")
    assert call.json["tracingConfiguration"] == {"enabled": False}
    assert call.json["roleArn"] == service.settings.role_arn("workflow") and json.loads(
        call.json["definition"]
    )


def test_cors_that_is_gone_is_deleted_and_not_emptied(service: Service) -> None:
    """Api-17, TEST-13."""
    service.up()
    service.account.calls.clear()
    service.up(cors_origins=())
    assert len(sent(service, "DeleteCorsConfiguration")) == 1 and sent(service, "UpdateApi") == []


def test_an_integration_is_updated_with_all_that_it_consists_of(service: Service) -> None:
    """Api-7, Api-8, Api-20, TEST-14: the subtype and every parameter, removed ones as ""."""
    service.up()
    aws = service.account.aws()
    (api,) = aws.call("apigatewayv2", "get_apis")["Items"]
    (found,) = aws.call("apigatewayv2", "get_integrations", ApiId=api["ApiId"])["Items"]
    below = {"ApiId": api["ApiId"], "IntegrationId": found["IntegrationId"]}
    parameters = {
        "StateMachineArn": "arn:aws:states:us-east-1:1:stateMachine:other",
        "Input": "$request.body",
        "Name": "x",
        "Region": "eu-west-1",
    }
    aws.call("apigatewayv2", "update_integration", **below, RequestParameters=parameters)
    service.account.calls.clear()
    service.up()
    (call,) = sent(service, "UpdateIntegration")
    arn = service.settings.workflow_arn
    assert call.json["integrationSubtype"] == "StepFunctions-StartSyncExecution"
    assert (
        call.json["integrationType"] == "AWS_PROXY" and call.json["payloadFormatVersion"] == "1.0"
    )
    assert call.json["requestParameters"] == {
        "StateMachineArn": arn,
        "Input": "$request.body",
        "Name": "$context.requestId",
        "Region": "",
    }
    assert call.json["credentialsArn"] == service.settings.role_arn("api")


def test_throttling_is_always_sent_with_both_limits(service: Service) -> None:
    """Api-27: a limit of 0 would refuse every request."""
    service.up()
    service.up(burst_limit=7)
    for call in (*sent(service, "CreateStage"), *sent(service, "UpdateStage")):
        settings = call.json["defaultRouteSettings"]
        assert settings["throttlingBurstLimit"] > 0 and settings["throttlingRateLimit"] > 0
        assert not {"loggingLevel", "dataTraceEnabled"} & set(settings)  # Api-28


def test_the_api_is_made_of_parts_that_can_be_changed_and_deleted(service: Service) -> None:
    """Api-5, Api-25: no quick create, and no deployment of our own beside AutoDeploy."""
    service.up()
    (call,) = sent(service, "CreateApi")
    assert not {"target", "routeKey", "credentialsArn"} & set(call.json)
    assert (
        sent(service, "CreateDeployment") == []
        and sent(service, "CreateStage")[0].json["autoDeploy"] is True
    )


def test_a_deployment_that_failed_after_a_successful_call_is_shown(service: Service) -> None:
    """Api-26."""
    service.up()

    def failing(call: Call, forward: Forward) -> Answer | None:
        if call.operation != "GetStage":
            return None
        answer = forward(call)
        message = (
            "Deployment attempt failed: Unable to deploy API because no routes exist in this API"
        )
        return answer.with_json({**answer.json, "lastDeploymentStatusMessage": message})

    service.account.troubles = [failing]
    (change,) = service.plan().effective
    (field,) = change.fields
    assert (
        field.path == "stage.deployment_failure"
        and "no routes exist" in field.before
        and field.after is None
    )


def test_an_image_under_our_tag_that_lambda_would_refuse_stops_before_any_function(
    service: Service,
) -> None:
    """Img-4, Img-7, TEST-22."""
    service.up()

    def index(call: Call, forward: Forward) -> Answer | None:
        if call.operation != "DescribeImages":
            return None
        answer = forward(call)
        found = answer.json
        found["imageDetails"][0]["imageManifestMediaType"] = (
            "application/vnd.oci.image.index.v1+json"
        )
        return answer.with_json(found)

    service.account.troubles = [index]
    with pytest.raises(
        AwsError, match="is a application/vnd.oci.image.index.v1.json, which Lambda refuses"
    ):
        service.up(tracing=True)


def test_an_image_that_was_not_stored_is_noticed_before_a_function_asks_for_it(
    service: Service,
) -> None:
    """Img-14."""

    def forgetful(call: Call, forward: Forward) -> Answer | None:
        if call.operation != "BatchGetImage":
            return None
        answer = forward(call)
        return answer.with_json({"images": [], "failures": []})

    service.account.troubles = [forgetful]
    with pytest.raises(ApplyFailed, match="though it was just pushed"):
        service.up()
    assert sent(service, "CreateFunction") == []


def test_the_role_of_the_workflow_can_only_be_assumed_for_this_state_machine(
    service: Service,
) -> None:
    """Iam-15."""
    service.up()
    call = next(call for call in sent(service, "CreateRole") if call.says("us-east-1-workflow"))
    trust = json.loads(parse_qs(call.body.decode())["AssumeRolePolicyDocument"][0])
    assert trust["Statement"][0]["Condition"] == {
        "ArnLike": {"aws:SourceArn": [service.settings.workflow_arn]},
        "StringEquals": {"aws:SourceAccount": ["123456789012"]},
    }


def test_a_quota_error_of_a_delivery_policy_is_aws_own_words(service: Service) -> None:
    """Logs-7: the message misleads, but users can search for it."""
    service.account.troubles = [
        Always("CreateStage", "BadRequestException", "Insufficient permissions to enable logging")
    ]
    with pytest.raises(ApplyFailed, match="Insufficient permissions to enable logging"):
        service.up()


def test_shared_policies_and_service_roles_are_never_touched(service: Service) -> None:
    """Logs-8, Pc-12: policies and roles that AWS keeps for the whole account stay."""
    service.up()
    service.down()
    operations = {call.operation for call in service.account.calls if call.writes}
    assert not operations & {"PutResourcePolicy", "DeleteResourcePolicy", "DeleteServiceLinkedRole"}


def test_reading_alone_is_what_a_plan_needs(service: Service) -> None:
    """PERM-9."""
    service.up()
    service.account.calls.clear()
    service.plan()
    assert service.account.calls and not any(call.writes for call in service.account.calls)


def test_another_account_than_the_one_that_was_set_is_refused(service: Service) -> None:
    """PRE-1."""
    from dataclasses import replace

    from deployer.project.settings import load_settings

    named = replace(load_settings(service.project, {}, {}), account="111111111111")
    with pytest.raises(
        ConfigError, match="of account 123456789012, but the settings name account 111111111111"
    ):
        named.located(account="123456789012", partition="aws", region="us-east-1")
    assert (
        named.located(account="111111111111", partition="aws", region="us-east-1").account
        == "111111111111"
    )


def findings(service: Service) -> list[str]:
    return all_findings(
        service.account.aws(),
        service.settings,
        SerialExecutor(),
        service.events.append,
        offline=False,
    )


def test_a_quota_that_would_not_do_is_a_finding(service: Service) -> None:
    """PRE-8, Lambda-28, Iam-11: the quotas that new accounts reach."""

    def small(call: Call, forward: Forward) -> Answer | None:
        if call.operation == "GetAccountSettings":
            limits = {"ConcurrentExecutions": 10, "UnreservedConcurrentExecutions": 2}
            return forward(call).with_json({"AccountLimit": limits, "AccountUsage": {}})
        if call.operation == "GetAccountSummary":
            answer = forward(call)
            body = re.sub(rb"(<key>Roles</key>\s*<value>)[0-9]+", rb"\g<1>999", answer.body)
            return Answer(
                200,
                {"Content-Type": "text/xml"},
                re.sub(rb"(RolesQuota</key>\s*<value>)[0-9]+", rb"\g<1>1000", body),
            )
        return None

    service.account.troubles = [small]
    found = findings(service)
    assert len(found) == 2
    assert "room for 1 more IAM roles, but three are needed" in found[0]
    assert (
        "at most 2 requests at once in us-east-1, but one request to this service is 3" in found[1]
    )


@pytest.mark.slow(every=4)
@pytest.mark.parametrize(
    ("limits", "left"),
    [
        (FunctionSettings(reserved_concurrency=300), 99),
        (FunctionSettings(provisioned_concurrency=150), 99),
        (FunctionSettings(reserved_concurrency=299), None),
        (FunctionSettings(reserved_concurrency=0), None),
    ],
)
def test_what_leaves_too_little_to_other_functions_is_a_finding(
    service: Service, limits: FunctionSettings, left: int | None
) -> None:
    """PRE-8, Lambda-12: AWS keeps a hundred. What the functions reserve already counts for them."""

    def busy(call: Call, forward: Forward) -> Answer | None:
        if call.operation != "GetAccountSettings":
            return None
        limits = {"ConcurrentExecutions": 1000, "UnreservedConcurrentExecutions": 389}
        return forward(call).with_json({"AccountLimit": limits, "AccountUsage": {}})

    service.up(per_function={"random_forest": FunctionSettings(reserved_concurrency=10)})
    service.overrides = {"per_function": {"random_forest": limits}}
    service.account.troubles = [busy]
    found = findings(service)
    assert len(found) == (left is not None)
    if left is not None:
        assert "executions and leave 99 in us-east-1, but AWS keeps 100 for functions" in found[0]


def test_what_may_not_be_asked_is_said_and_no_finding(service: Service) -> None:
    """Sfn-9, PRE-16."""
    denied = "User: u is not authorized to perform: states:ValidateStateMachineDefinition"
    service.account.troubles = [
        Always("ValidateStateMachineDefinition", "AccessDeniedException", denied)
    ]
    assert findings(service) == []
    assert any(text.startswith("not checked: ") and denied in text for text in service.told)


def test_what_step_functions_says_of_the_workflow_is_a_finding(service: Service) -> None:
    """Sfn-8."""

    def strict(call: Call, forward: Forward) -> Answer | None:
        if call.operation != "ValidateStateMachineDefinition":
            return None
        assert call.json["type"] == "EXPRESS" and "${" not in call.json["definition"].replace(
            "${name}", ""
        )
        diagnostic = {
            "severity": "ERROR",
            "code": "SCHEMA",
            "message": "no good",
            "location": "/States/Predict",
        }
        return forward(call).with_json(
            {"result": "FAIL", "diagnostics": [diagnostic], "truncated": False}
        )

    service.account.troubles = [strict]
    assert findings(service) == ["state_machine.json: /States/Predict: SCHEMA: no good"]


def planned(service: Service, **overrides: Any) -> Deployment:
    settings = replace(service.settings, **overrides)
    return plan_up(service.account.aws(), settings, SerialExecutor(), service.events.append)


def test_up_asks_step_functions_before_its_first_write(service: Service) -> None:
    """Sfn-8, PRE-6; nothing is asked while the workflow stays."""

    def refusing(call: Call, forward: Forward) -> Answer | None:
        if call.operation != "ValidateStateMachineDefinition":
            return None
        assert call.json["type"] == "EXPRESS"
        diagnostic = {"severity": "ERROR", "code": "SCHEMA", "message": "no good"}
        return forward(call).with_json({"result": "FAIL", "diagnostics": [diagnostic]})

    service.account.troubles = [refusing]
    with (
        pytest.raises(ConfigError, match=r"state_machine.json: \$: SCHEMA: no good"),
        planned(service).workflow_validated(),
    ):
        pass
    assert not [call for call in service.account.calls if call.writes]
    service.account.troubles = []
    service.up()
    service.account.calls.clear()
    with planned(service, log_retention_days=30).workflow_validated():
        pass
    assert sent(service, "ValidateStateMachineDefinition") == []


def test_up_goes_on_where_it_may_not_ask_step_functions(service: Service) -> None:
    """Sfn-9."""
    service.account.troubles = [
        Always("ValidateStateMachineDefinition", "AccessDeniedException", "not authorized")
    ]
    with planned(service).workflow_validated():
        pass
    assert any(text.startswith("not checked: ") for text in service.told)


@pytest.mark.parametrize("status", [500, 503])
def test_a_failure_right_after_a_deploy_says_what_it_may_be(service: Service, status: int) -> None:
    """Api-32: API Gateway does not try the role when it is given one."""

    class Failing(Quiet):
        def handle_any(self) -> None:
            self.body()
            self.answer(
                status, b'{"message":"Internal Server Error"}', {"Content-Type": "application/json"}
            )

    with (
        serve(Failing) as url,
        Client(f"{url}/") as client,
        pytest.raises(InvocationFailed, match=f"HTTP {status}") as caught,
    ):
        client.post(b"{}")
    assert caught.value.refusal
    text = advice(service.account.aws(), service.settings, caught.value.refusal)
    assert "role may take a minute" in text and "log group" in text


def test_tags_go_out_in_the_shape_of_each_service(service: Service) -> None:
    """GEN-11: every creating call sends the tags, so that no resource of ours ever lacks them."""
    service.up()
    account = picture(service.account.aws())
    ours = service.settings.tags
    for operation in (
        "CreateRepository",
        "CreateLogGroup",
        "CreateStateMachine",
        "CreateFunction",
        "CreateApi",
        "CreateRole",
    ):
        for call in sent(service, operation):
            content = unquote(call.body.decode().replace("+", " "))
            assert all(key in content and value in content for key, value in ours.items()), (
                operation
            )
    assert account["functions"]["inference-dev-random-forest"]["tags"] == ours


def test_the_local_aws_knows_how_often_an_event_is_tried_again(service: Service) -> None:
    """Lambda-37: twice, unless the function's configuration says otherwise."""
    from deployer.local.moto_backend.account import MotoAccount

    service.up()
    moto, name = MotoAccount(lambda environ, start: []), "inference-dev-random-forest"
    arn = service.settings.function_arn("random_forest")
    aws = service.account.aws()
    found = [moto.event_retries(arn)]
    for retries in (0, 1):
        aws.call(
            "lambda",
            "put_function_event_invoke_config",
            FunctionName=name,
            MaximumRetryAttempts=retries,
        )
        found.append(moto.event_retries(arn))
    assert found == [2, 0, 1]
