"""Each mend of moto: its probe fails on moto's own server and passes on the local AWS.

A probe that passes on moto's own server means: remove the mend.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import socket
import subprocess
import sys
import tarfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from deployer.aws.access import Aws
from deployer.errors import AwsError, DeployerError
from deployer.images.ecr import push
from deployer.images.layers import LAYER_TYPE, Blob, BuiltImage
from deployer.local import process
from tests.support import auth_probes, rest_probes
from tests.support.accounts import connect, reset
from tests.support.watching import put_alarm, put_values

# Its tests share a server, so one worker runs them all.
pytestmark = pytest.mark.xdist_group("local moto_mends")

PLAIN = """
import sys
from moto.core.config import default_user_config
default_user_config["stepfunctions"] = {"execute_state_machine": True}
from moto.server import main
main(["-p", sys.argv[1]])
"""


@pytest.fixture(scope="module")
def plain() -> Iterator[process.Server]:
    """An unmended moto server."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {"PATH": "/usr/bin:/bin", "MOTO_LAMBDA_STUB_ECR": "false"}
    server = subprocess.Popen(
        [sys.executable, "-c", PLAIN, str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
    )
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            time.sleep(0.05)
    yield process.Server(server.pid, port, Path("/dev/null"), process.Credentials("local", "local"))
    server.terminate()
    server.wait()


def image(aws: Aws) -> str:
    """Push a small image and return its URI by digest."""
    aws.call("ecr", "create_repository", repositoryName="probe")
    blobs = [b"layer", json.dumps({"config": {"Cmd": ["x.y"]}}).encode()]
    for blob in blobs:
        upload = aws.call("ecr", "initiate_layer_upload", repositoryName="probe")["uploadId"]
        one = {"repositoryName": "probe", "uploadId": upload}
        aws.call(
            "ecr",
            "upload_layer_part",
            **one,
            partFirstByte=0,
            partLastByte=len(blob) - 1,
            layerPartBlob=blob,
        )
        aws.call(
            "ecr",
            "complete_layer_upload",
            **one,
            layerDigests=[f"sha256:{hashlib.sha256(blob).hexdigest()}"],
        )
    parts = [
        {
            "digest": f"sha256:{hashlib.sha256(blob).hexdigest()}",
            "size": len(blob),
            "mediaType": "x",
        }
        for blob in blobs
    ]
    manifest = {"schemaVersion": 2, "config": parts[1], "layers": parts[:1]}
    text = json.dumps(manifest)
    answer = aws.call(
        "ecr",
        "put_image",
        repositoryName="probe",
        imageManifest=text,
        imageTag="t",
        imageManifestMediaType="application/vnd.docker.distribution.manifest.v2+json",
    )
    digest = answer["image"]["imageId"]["imageDigest"]
    return f"123456789012.dkr.ecr.us-east-1.amazonaws.com/probe@{digest}"


def function(aws: Aws) -> None:
    aws.call("iam", "create_role", RoleName="probe", AssumeRolePolicyDocument="{}")
    aws.call(
        "lambda",
        "create_function",
        FunctionName="probe",
        PackageType="Image",
        Code={"ImageUri": image(aws)},
        Role="arn:aws:iam::123456789012:role/probe",
    )


def api(aws: Aws) -> str:
    return str(aws.call("apigatewayv2", "create_api", Name="probe", ProtocolType="HTTP")["ApiId"])


def conflicts(call: Callable[[], Any]) -> bool:
    try:
        call()
    except AwsError as error:
        return error.code == "ConflictException"
    return False


def hashes_manifests(aws: Aws) -> bool:
    digest = image(aws).partition("@")[2]
    stored = aws.call(
        "ecr", "batch_get_image", repositoryName="probe", imageIds=[{"imageTag": "t"}]
    )["images"][0]
    return bool(digest == f"sha256:{hashlib.sha256(stored['imageManifest'].encode()).hexdigest()}")


def ignores_bucket_policies_it_cannot_evaluate(aws: Aws) -> bool:
    aws.call("s3", "create_bucket", Bucket="probe-bucket")
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": "arn:aws:s3:::probe-bucket/*",
        "Condition": {"StringEquals": {"aws:PrincipalAccount": "000000000000"}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    aws.call("s3", "put_bucket_policy", Bucket="probe-bucket", Policy=policy)
    try:
        aws.call("s3", "put_object", Bucket="probe-bucket", Key="k", Body=b"")
    except AwsError:
        return False
    return True


def never_reuses_a_versions_number(aws: Aws) -> bool:
    function(aws)
    for memory in (128, 129, 130):
        aws.call("lambda", "update_function_configuration", FunctionName="probe", MemorySize=memory)
        aws.call("lambda", "publish_version", FunctionName="probe")
    aws.call("lambda", "delete_function", FunctionName="probe", Qualifier="1")
    aws.call("lambda", "update_function_configuration", FunctionName="probe", MemorySize=131)
    return bool(aws.call("lambda", "publish_version", FunctionName="probe")["Version"] == "4")


def publishes_once_what_did_not_change(aws: Aws) -> bool:
    function(aws)
    aws.call("lambda", "update_function_configuration", FunctionName="probe", MemorySize=200)
    first = aws.call("lambda", "publish_version", FunctionName="probe")["Version"]
    return bool(aws.call("lambda", "publish_version", FunctionName="probe")["Version"] == first)


def publishes_once_what_differs_from_no_version(aws: Aws) -> bool:
    function(aws)
    first = aws.call("lambda", "publish_version", FunctionName="probe")["Version"]
    uri = aws.call("lambda", "get_function", FunctionName="probe")["Code"]["ImageUri"]
    aws.call("lambda", "update_function_code", FunctionName="probe", ImageUri=uri)
    return bool(aws.call("lambda", "publish_version", FunctionName="probe")["Version"] == first)


def publishes_again_what_was_deleted(aws: Aws) -> bool:
    function(aws)
    for memory in (200, 300):
        aws.call("lambda", "update_function_configuration", FunctionName="probe", MemorySize=memory)
        last = aws.call("lambda", "publish_version", FunctionName="probe")["Version"]
    aws.call("lambda", "delete_function", FunctionName="probe", Qualifier=last)
    again = aws.call("lambda", "publish_version", FunctionName="probe")
    return bool((last, again["Version"], again["MemorySize"]) == ("2", "3", 300))


def updates_tracing_tmp_and_overrides(aws: Aws) -> bool:
    function(aws)
    aws.call(
        "lambda",
        "update_function_configuration",
        FunctionName="probe",
        TracingConfig={"Mode": "Active"},
        EphemeralStorage={"Size": 1024},
        ImageConfig={"Command": ["a.b"]},
    )
    found = aws.call("lambda", "get_function", FunctionName="probe")["Configuration"]
    command = found["ImageConfigResponse"]["ImageConfig"]["Command"]
    return bool(
        (found["TracingConfig"]["Mode"], found["EphemeralStorage"]["Size"], command)
        == ("Active", 1024, ["a.b"])
    )


def updates_the_architecture(aws: Aws) -> bool:
    function(aws)
    uri = aws.call("lambda", "get_function", FunctionName="probe")["Code"]["ImageUri"]
    aws.call(
        "lambda",
        "update_function_code",
        FunctionName="probe",
        ImageUri=uri,
        Architectures=["arm64"],
    )
    return bool(
        aws.call("lambda", "get_function", FunctionName="probe")["Configuration"]["Architectures"]
        == ["arm64"]
    )


def answers(call: Callable[[], Any]) -> Any:
    """Return the answer of a call, or None if the operation does not exist."""
    try:
        return call()
    except AwsError:
        return None


def validates_definitions(aws: Aws) -> bool:
    sound = {"StartAt": "a", "States": {"a": {"Type": "Succeed"}}}
    broken = {**sound, "States": {"a": {"Type": "Nonsense"}}}

    def result(definition: Any) -> Any:
        answer = aws.call(
            "stepfunctions",
            "validate_state_machine_definition",
            definition=json.dumps(definition),
            type="EXPRESS",
        )
        return answer["result"]

    return [answers(lambda: result(sound)), answers(lambda: result(broken))] == ["OK", "FAIL"]


def validates_by_type(aws: Aws) -> bool:
    def result(resource: str, kind: str) -> Any:
        state = {"Type": "Task", "Resource": resource, "End": True}
        answer = aws.call(
            "stepfunctions",
            "validate_state_machine_definition",
            definition=json.dumps({"StartAt": "a", "States": {"a": state}}),
            type=kind,
        )
        return answer["result"]

    started, job = "arn:aws:states:::lambda:invoke", "arn:aws:states:::states:startExecution.sync:2"
    kinds = ((started, "EXPRESS"), (job, "STANDARD"), (job, "EXPRESS"))
    found = [answers(partial(result, *pair)) for pair in kinds]
    return found == ["OK", "OK", "FAIL"]


def knows_account_settings(aws: Aws) -> bool:
    found = answers(lambda: aws.call("lambda", "get_account_settings"))
    return bool(found and found["AccountLimit"]["ConcurrentExecutions"] == 1000)


def published(aws: Aws) -> None:
    function(aws)
    aws.call("lambda", "publish_version", FunctionName="probe")


def shows_a_reservation_of_nothing(aws: Aws) -> bool:
    """Lambda-12, Lambda-27: 0 is a value; a version's description has none."""
    published(aws)
    aws.call(
        "lambda", "put_function_concurrency", FunctionName="probe", ReservedConcurrentExecutions=0
    )
    whole = aws.call("lambda", "get_function", FunctionName="probe")
    version = aws.call("lambda", "get_function", FunctionName="probe", Qualifier="1")
    return (whole.get("Concurrency"), version.get("Concurrency")) == (
        {"ReservedConcurrentExecutions": 0},
        None,
    )


def reserves_no_more_than_there_is(aws: Aws) -> bool:
    """Lambda-12: a hundred are kept for other functions."""
    function(aws)

    def reserve(number: int) -> Any:
        return answers(
            lambda: aws.call(
                "lambda",
                "put_function_concurrency",
                FunctionName="probe",
                ReservedConcurrentExecutions=number,
            )
        )

    return reserve(901) is None and reserve(900) is not None


def provisions_versions(aws: Aws) -> bool:
    """Pc-1, Pc-2, Pc-6: IN_PROGRESS, then READY; listed, and gone with the version."""
    published(aws)
    where = {"FunctionName": "probe", "Qualifier": "1"}

    def call(operation: str, **parameters: Any) -> Any:
        return answers(lambda: aws.call("lambda", operation, **parameters))

    put = partial(call, "put_provisioned_concurrency_config", ProvisionedConcurrentExecutions=2)
    get = partial(call, "get_provisioned_concurrency_config", **where)
    made, first, second = put(**where), get(), get()
    if not (made and first and second):
        return False
    listed = call("list_provisioned_concurrency_configs", FunctionName="probe")
    (entry,) = listed["ProvisionedConcurrencyConfigs"]
    statuses = [answer["Status"] for answer in (made, first, second, entry)]
    refused = put(FunctionName="probe", Qualifier="$LATEST")
    call("delete_provisioned_concurrency_config", **where)
    return (
        statuses == ["IN_PROGRESS", "IN_PROGRESS", "READY", "READY"]
        and entry["FunctionArn"].endswith(":function:probe:1")
        and refused is None
        and get() is None
    )


def holds_provisioned_within_reserved(aws: Aws) -> bool:
    """Pc-9: all versions together."""
    published(aws)
    aws.call("lambda", "update_function_configuration", FunctionName="probe", MemorySize=200)
    aws.call("lambda", "publish_version", FunctionName="probe")
    reserve = partial(aws.call, "lambda", "put_function_concurrency", FunctionName="probe")
    reserve(ReservedConcurrentExecutions=3)

    def provision(version: str, number: int) -> Any:
        return answers(
            lambda: aws.call(
                "lambda",
                "put_provisioned_concurrency_config",
                FunctionName="probe",
                Qualifier=version,
                ProvisionedConcurrentExecutions=number,
            )
        )

    granted = [provision(*pair) is not None for pair in (("1", 2), ("2", 2), ("2", 1))]
    lowered = answers(lambda: reserve(ReservedConcurrentExecutions=2))
    return granted == [True, False, True] and lowered is None


def throttles_a_stopped_function(aws: Aws) -> bool:
    """Lambda-12: with 0 it answers nobody."""
    function(aws)
    aws.call(
        "lambda", "put_function_concurrency", FunctionName="probe", ReservedConcurrentExecutions=0
    )
    try:
        aws.call("lambda", "invoke", FunctionName="probe", Payload=b"{}")
    except AwsError as error:
        return error.code == "TooManyRequestsException"
    return False


def has_an_api_endpoint_on_this_machine(aws: Aws) -> bool:
    return "127.0.0.1" in aws.call("apigatewayv2", "get_api", ApiId=api(aws))["ApiEndpoint"]


def refuses_a_second_route(aws: Aws) -> bool:
    route = {"ApiId": api(aws), "RouteKey": "POST /"}
    aws.call("apigatewayv2", "create_route", **route)
    return conflicts(lambda: aws.call("apigatewayv2", "create_route", **route))


def refuses_a_second_stage(aws: Aws) -> bool:
    stage = {"ApiId": api(aws), "StageName": "$default"}
    aws.call("apigatewayv2", "create_stage", **stage)
    return conflicts(lambda: aws.call("apigatewayv2", "create_stage", **stage))


def updates_a_stage(aws: Aws) -> bool:
    stage = {"ApiId": api(aws), "StageName": "$default"}
    aws.call("apigatewayv2", "create_stage", **stage, AutoDeploy=True)
    try:
        aws.call("apigatewayv2", "update_stage", **stage, AutoDeploy=False)
    except AwsError:
        return False
    return aws.call("apigatewayv2", "get_stage", **stage)["AutoDeploy"] is False


def deletes_access_log_settings(aws: Aws) -> bool:
    stage = {"ApiId": api(aws), "StageName": "$default"}
    log = {
        "DestinationArn": "arn:aws:logs:us-east-1:123456789012:log-group:x",
        "Format": "$context.requestId",
    }
    aws.call("apigatewayv2", "create_stage", **stage, AccessLogSettings=log)
    try:
        aws.call("apigatewayv2", "delete_access_log_settings", **stage)
    except AwsError:
        return False
    return "AccessLogSettings" not in aws.call("apigatewayv2", "get_stage", **stage)


def runs_image_functions(aws: Aws) -> bool:
    """A layer without the handler's module: AWS answers with the error of the import, so the image
    was run.
    """
    aws.call("iam", "create_role", RoleName="probe", AssumeRolePolicyDocument="{}")
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w"):
        pass
    layer = Blob.in_memory(gzip.compress(stream.getvalue(), mtime=0), LAYER_TYPE)
    config = Blob.in_memory(
        json.dumps({"config": {"Cmd": ["nowhere.handler"]}}).encode(), "application/json"
    )
    manifest = json.dumps({"config": config.descriptor(), "layers": [layer.descriptor()]})
    aws.call("ecr", "create_repository", repositoryName="probe")
    built = BuiltImage(manifest, (layer,), config)
    try:
        digest = push(aws, "probe", "t", built)
        aws.call(
            "lambda",
            "create_function",
            FunctionName="probe",
            PackageType="Image",
            Role="arn:aws:iam::123456789012:role/probe",
            Code={"ImageUri": f"123456789012.dkr.ecr.us-east-1.amazonaws.com/probe@{digest}"},
        )
        answer = aws.call("lambda", "invoke", FunctionName="probe", Payload=b"{}")
    except Exception:
        return False
    return "nowhere" in answer["Payload"].read().decode()


def offers_layers(aws: Aws) -> bool:
    """A pushed layer's bytes can be had again."""
    aws.call("ecr", "create_repository", repositoryName="probe")
    upload = aws.call("ecr", "initiate_layer_upload", repositoryName="probe")["uploadId"]
    part = {"repositoryName": "probe", "uploadId": upload}
    aws.call(
        "ecr", "upload_layer_part", **part, partFirstByte=0, partLastByte=4, layerPartBlob=b"bytes"
    )
    digest = f"sha256:{hashlib.sha256(b'bytes').hexdigest()}"
    aws.call("ecr", "complete_layer_upload", **part, layerDigests=[digest])
    try:
        url = aws.call(
            "ecr", "get_download_url_for_layer", repositoryName="probe", layerDigest=digest
        )["downloadUrl"]
    except AwsError:
        return False
    return bool(urllib.request.urlopen(url).read() == b"bytes")


def starts_executions_synchronously(aws: Aws) -> bool:
    definition = json.dumps(
        {"StartAt": "a", "States": {"a": {"Type": "Pass", "Result": 7, "End": True}}}
    )
    arn = aws.call(
        "stepfunctions",
        "create_state_machine",
        name="probe",
        definition=definition,
        type="EXPRESS",
        roleArn="arn:aws:iam::123456789012:role/probe",
    )["stateMachineArn"]
    try:
        return bool(
            aws.call("stepfunctions", "start_sync_execution", stateMachineArn=arn)["output"] == "7"
        )
    except AwsError:
        return False


def machine(aws: Aws, number: int, **more: Any) -> str:
    """Create a state machine that returns a number, and return its ARN."""
    return str(
        aws.call(
            "stepfunctions",
            "create_state_machine",
            name="probe",
            definition=returning(number),
            type="EXPRESS",
            roleArn="arn:aws:iam::123456789012:role/probe",
            **more,
        )["stateMachineArn"]
    )


def returning(number: int) -> str:
    state = {"Type": "Pass", "Result": number, "End": True}
    return json.dumps({"StartAt": "a", "States": {"a": state}})


def publishes_once_what_was_not_updated(aws: Aws) -> bool:
    """Sfn-16."""
    arn = machine(aws, 1, publish=True)
    numbers = [
        aws.call(
            "stepfunctions",
            "update_state_machine",
            stateMachineArn=arn,
            definition=returning(number),
            publish=True,
        )["stateMachineVersionArn"].rpartition(":")[2]
        for number in (1, 2, 2, 1)
    ]
    return numbers == ["1", "2", "2", "3"]


def publishes_lists_and_deletes_versions(aws: Aws) -> bool:
    arn = machine(aws, 1)

    def publish(description: str) -> str:
        answer = aws.call(
            "stepfunctions",
            "publish_state_machine_version",
            stateMachineArn=arn,
            description=description,
        )
        return str(answer["stateMachineVersionArn"])

    def listed() -> list[str]:
        arns: list[str] = []
        more: dict[str, Any] = {"stateMachineArn": arn, "maxResults": 1}
        while more:
            page = aws.call("stepfunctions", "list_state_machine_versions", **more)
            arns += (version["stateMachineVersionArn"] for version in page["stateMachineVersions"])
            more = {**more, "nextToken": page["nextToken"]} if "nextToken" in page else {}
        return arns

    try:
        first, again = publish("the first"), publish("again")
        aws.call(
            "stepfunctions",
            "update_state_machine",
            stateMachineArn=arn,
            definition=returning(2),
        )
        second = publish("the second")
        both = listed()
        aws.call("stepfunctions", "delete_state_machine_version", stateMachineVersionArn=first)
    except AwsError:
        return False
    described = aws.call("stepfunctions", "describe_state_machine", stateMachineArn=second)
    return (first, both, listed(), described["description"]) == (
        again,
        [second, first],
        [second],
        "the second",
    )


def tells_revisions(aws: Aws) -> bool:
    """Sfn-13."""
    arn = machine(aws, 1)

    def revision() -> Any:
        return aws.call("stepfunctions", "describe_state_machine", stateMachineArn=arn).get(
            "revisionId"
        )

    def updated(number: int) -> Any:
        return aws.call(
            "stepfunctions",
            "update_state_machine",
            stateMachineArn=arn,
            definition=returning(number),
        ).get("revisionId")

    found = [revision(), updated(1), updated(2), revision(), updated(2)]
    return found[:2] == [None, None] and found[2] is not None and len(set(found[2:])) == 1


def measured(aws: Aws, statistic: str, *dimensions: str) -> Any:
    """Return the values of a metric that was put with two dimensions, by those that are named."""
    now = datetime.now(timezone.utc)
    aws.call(
        "cloudwatch",
        "put_metric_data",
        Namespace="Probe",
        MetricData=[
            {
                "MetricName": "time",
                "Dimensions": [{"Name": name, "Value": "x"} for name in ("one", "two")],
                "Timestamp": now,
                "Values": [float(number) for number in range(1, 101)],
            }
        ],
    )
    metric = {
        "Namespace": "Probe",
        "MetricName": "time",
        "Dimensions": [{"Name": name, "Value": "x"} for name in dimensions],
    }
    answer = aws.call(
        "cloudwatch",
        "get_metric_data",
        MetricDataQueries=[
            {"Id": "a", "MetricStat": {"Metric": metric, "Period": 3600, "Stat": statistic}}
        ],
        StartTime=now - timedelta(minutes=59),
        EndTime=now + timedelta(minutes=1),
    )
    return answer["MetricDataResults"][0]["Values"]


def computes_percentiles(aws: Aws) -> bool:
    try:
        return [measured(aws, name, "one", "two") for name in ("p50", "p99")] == [[50], [99]]
    except AwsError:
        return False


def finds_a_metric_by_all_of_its_dimensions_in_any_order(aws: Aws) -> bool:
    found = [measured(aws, "Sum", *names) for names in (("two", "one"), ("one",), ())]
    return found == [[5050], [], []]


def counts_what_a_service_does(aws: Aws) -> bool:
    function(aws)
    reserve = {"FunctionName": "probe", "ReservedConcurrentExecutions": 0}
    aws.call("lambda", "put_function_concurrency", **reserve)
    with suppress(AwsError):
        aws.call("lambda", "invoke", FunctionName="probe", Payload=b"{}")
    metrics = aws.call("cloudwatch", "list_metrics", Namespace="AWS/Lambda")["Metrics"]
    return any(metric["MetricName"] == "Throttles" for metric in metrics)


def filtered(aws: Aws, *lines: str) -> None:
    """Make a metric filter of failed tasks, and write lines into its log group."""
    group = {"logGroupName": "probe"}
    aws.call("logs", "create_log_group", **group)
    aws.call("logs", "create_log_stream", **group, logStreamName="one")
    counted = {"metricName": "failed", "metricNamespace": "Probe", "metricValue": "1"}
    aws.call(
        "logs",
        "put_metric_filter",
        **group,
        filterName="probe",
        filterPattern='{ ($.type = "TaskFailed") || ($.type = "TaskTimedOut") }',
        metricTransformations=[counted],
    )
    now = int(time.time() * 1000)
    events = [{"message": line, "timestamp": now} for line in lines]
    if events:
        aws.call("logs", "put_log_events", **group, logStreamName="one", logEvents=events)


def counts_metric_filters_of_a_log_group(aws: Aws) -> bool:
    filtered(aws)
    aws.call("logs", "create_log_group", logGroupName="probe2")
    groups = aws.pages("logs", "describe_log_groups", "logGroups", logGroupNamePrefix="probe")
    return [group["metricFilterCount"] for group in groups] == [1, 0]


def counts_lines_that_a_metric_filter_matches(aws: Aws) -> bool:
    filtered(
        aws, '{"type": "TaskFailed"}', '{"type": "TaskTimedOut"}', '{"type": "x"}', "TaskFailed"
    )
    now = datetime.now(timezone.utc)
    metric = {"Namespace": "Probe", "MetricName": "failed", "Dimensions": []}
    stat = {"Metric": metric, "Period": 3600, "Stat": "Sum"}
    answer = aws.call(
        "cloudwatch",
        "get_metric_data",
        MetricDataQueries=[{"Id": "a", "MetricStat": stat}],
        StartTime=now - timedelta(minutes=59),
        EndTime=now + timedelta(minutes=1),
    )
    return bool(answer["MetricDataResults"][0]["Values"] == [2])


def watched(aws: Aws, **missing: str) -> None:
    """Put alarms of a metric, by name with what is to be made of missing data."""
    for name, treatment in missing.items():
        put_alarm(
            aws,
            name,
            Namespace="Probe",
            MetricName="n",
            Statistic="Maximum",
            Threshold=5,
            TreatMissingData=treatment,
        )


def evaluates_alarms(aws: Aws) -> bool:
    def states() -> list[str]:
        alarms = aws.pages("cloudwatch", "describe_alarms", "MetricAlarms")
        return [alarm["StateValue"] for alarm in alarms]

    watched(aws, probe0="missing", probe1="notBreaching", probe2="breaching")
    before = states()
    put_values(aws, "Probe", {}, n=[5.5])
    return (before, states()) == (["INSUFFICIENT_DATA", "OK", "ALARM"], ["ALARM"] * 3)


def lists_alarms_by_prefix_and_state(aws: Aws) -> bool:
    watched(aws, probe_quiet="notBreaching", probe_loud="breaching")
    given = {"AlarmNamePrefix": "probe", "StateValue": "ALARM"}
    listed = aws.call("cloudwatch", "describe_alarms", **given)["MetricAlarms"]
    return [alarm["AlarmName"] for alarm in listed] == ["probe_loud"]


def merges_the_streams_of_a_group(aws: Aws) -> bool:
    now = int(1000 * time.time())
    aws.call("logs", "create_log_group", logGroupName="probe")
    for stream, offset in (("one", 1), ("two", 0)):
        aws.call("logs", "create_log_stream", logGroupName="probe", logStreamName=stream)
        events = [{"timestamp": now + offset + more, "message": "x"} for more in (0, 2)]
        place = {"logGroupName": "probe", "logStreamName": stream}
        aws.call("logs", "put_log_events", **place, logEvents=events)
    answer = aws.call("logs", "filter_log_events", logGroupName="probe")
    times = [event["timestamp"] for event in answer["events"]]
    return times == sorted(times)


def executed(aws: Aws, definition: dict[str, Any], value: Any = None) -> dict[str, Any]:
    """Run a STANDARD state machine, which moto alone can run too, and return its description."""
    arn = aws.call(
        "stepfunctions",
        "create_state_machine",
        name="probe",
        definition=json.dumps(definition),
        type="STANDARD",
        roleArn="arn:aws:iam::123456789012:role/probe",
    )["stateMachineArn"]
    execution = aws.call(
        "stepfunctions",
        "start_execution",
        stateMachineArn=arn,
        name="x",
        input=json.dumps(value or {}),
    )["executionArn"]
    end = time.monotonic() + 30
    while time.monotonic() < end:
        found: dict[str, Any] = aws.call(
            "stepfunctions", "describe_execution", executionArn=execution
        )
        if found["status"] != "RUNNING":
            return found
        time.sleep(0.02)
    return {}


def names_a_refused_invocation_as_step_functions_does(aws: Aws) -> bool:
    """A function that does not exist: Step Functions calls the task's error
    Lambda.ResourceNotFoundException.
    """
    task = {
        "Type": "Task",
        "Resource": "arn:aws:lambda:us-east-1:123456789012:function:nowhere:1",
        "End": True,
    }
    record = executed(aws, {"StartAt": "a", "States": {"a": task}})
    return bool(record.get("error") == "Lambda.ResourceNotFoundException")


# An unmended moto evaluates no JSONata at all. When it does, the first of these fails, and the
# others show which of the mends are still needed.


def keeps_terminal_errors(aws: Aws) -> bool:
    """Sfn-25: an output beyond 262,144 bytes ends the execution, whatever it catches."""
    twice = {"Type": "Pass", "Parameters": {"a.$": "$.text", "b.$": "$.text"}, "End": True}
    branch = {"StartAt": "f", "States": {"f": twice}}
    catch = {"ErrorEquals": ["States.ALL"], "Next": "b"}
    parallel = {"Type": "Parallel", "Branches": [branch], "Catch": [catch], "End": True}
    states = {"a": parallel, "b": {"Type": "Succeed"}}
    record = executed(aws, {"StartAt": "a", "States": states}, {"text": "x" * 200_000})
    return bool(record.get("error") == "States.DataLimitExceeded")


def gives(aws: Aws, expression: str, value: Any, expected: Any) -> bool:
    states = {"a": {"Type": "Pass", "Output": f"{{% {expression} %}}", "End": True}}
    record = executed(aws, {"QueryLanguage": "JSONata", "StartAt": "a", "States": states}, value)
    return bool(record.get("output") == json.dumps(expected))


def evaluates_jsonata(aws: Aws) -> bool:
    return gives(aws, "$sum($states.input.a) * 2", {"a": [1, 2]}, 6)


def keeps_quotes_and_digits_in_jsonata(aws: Aws) -> bool:
    value = ['say "no"', 12345678901234567890]
    return gives(aws, "$states.input", value, value)


def has_step_functions_own_functions(aws: Aws) -> bool:
    expected = [hashlib.md5(b"x").hexdigest(), 36]
    return gives(aws, "[$hash('x', 'MD5'), $length($uuid())]", {}, expected)


def knows_the_context_in_a_predicate(aws: Aws) -> bool:
    return gives(aws, "$states.input.a[$ > 1]", {"a": [1, 2, 3]}, [2, 3])


def names_errors_of_expressions(aws: Aws) -> bool:
    states = {"a": {"Type": "Pass", "Output": {"x": "{% 'a' + 1 %}"}, "End": True}}
    record = executed(aws, {"QueryLanguage": "JSONata", "StartAt": "a", "States": states})
    return record.get("error") == "States.QueryEvaluationError" and "'x'" in record["cause"]


def names_errors_of_conditions(aws: Aws) -> bool:
    states = {
        "a": {"Type": "Choice", "Choices": [{"Condition": "{% 1 %}", "Next": "b"}]},
        "b": {"Type": "Succeed"},
    }
    record = executed(aws, {"QueryLanguage": "JSONata", "StartAt": "a", "States": states})
    return bool(record.get("error") == "States.QueryEvaluationError")


def catches_errors_of_outputs(aws: Aws) -> bool:
    branch = {"StartAt": "f", "States": {"f": {"Type": "Pass", "End": True}}}
    catch = {"ErrorEquals": ["States.QueryEvaluationError"], "Next": "b"}
    parallel = {"Type": "Parallel", "Branches": [branch], "Catch": [catch], "End": True}
    states = {"a": {**parallel, "Output": "{% 'a' + 1 %}"}, "b": {"Type": "Succeed"}}
    record = executed(aws, {"QueryLanguage": "JSONata", "StartAt": "a", "States": states})
    return bool(record.get("status") == "SUCCEEDED")


def writes_times_in_the_context(aws: Aws) -> bool:
    state = {"Type": "Pass", "Parameters": {"t.$": "$$.Execution.StartTime"}, "End": True}
    try:
        record = executed(aws, {"StartAt": "a", "States": {"a": state}})
    except DeployerError:
        return False
    return str(record.get("output")).endswith('Z"}')


def reads_variables_by_jsonpath(aws: Aws) -> bool:
    states = {
        "a": {"Type": "Pass", "Assign": {"v.$": "$"}, "Next": "b"},
        "b": {"Type": "Pass", "Parameters": {"names.$": "$v.a[*].name"}, "End": True},
    }
    record = executed(aws, {"StartAt": "a", "States": states}, {"a": [{"name": "x"}]})
    return bool(record.get("output") == '{"names": ["x"]}')


def finds_nothing_by_a_filter(aws: Aws) -> bool:
    state = {"Type": "Pass", "Parameters": {"x.$": "$[?(@.model == 'b')]"}, "End": True}
    record = executed(aws, {"StartAt": "a", "States": {"a": state}}, [{"model": "a"}])
    return bool(record.get("output") == '{"x": []}')


PROBES = [
    counts_metric_filters_of_a_log_group,
    counts_lines_that_a_metric_filter_matches,
    evaluates_alarms,
    lists_alarms_by_prefix_and_state,
    computes_percentiles,
    finds_a_metric_by_all_of_its_dimensions_in_any_order,
    counts_what_a_service_does,
    merges_the_streams_of_a_group,
    hashes_manifests,
    ignores_bucket_policies_it_cannot_evaluate,
    never_reuses_a_versions_number,
    publishes_once_what_did_not_change,
    publishes_once_what_differs_from_no_version,
    publishes_again_what_was_deleted,
    updates_tracing_tmp_and_overrides,
    updates_the_architecture,
    validates_definitions,
    validates_by_type,
    knows_account_settings,
    shows_a_reservation_of_nothing,
    reserves_no_more_than_there_is,
    provisions_versions,
    holds_provisioned_within_reserved,
    throttles_a_stopped_function,
    has_an_api_endpoint_on_this_machine,
    refuses_a_second_route,
    refuses_a_second_stage,
    updates_a_stage,
    deletes_access_log_settings,
    runs_image_functions,
    offers_layers,
    starts_executions_synchronously,
    publishes_once_what_was_not_updated,
    publishes_lists_and_deletes_versions,
    tells_revisions,
    names_a_refused_invocation_as_step_functions_does,
    keeps_terminal_errors,
    evaluates_jsonata,
    keeps_quotes_and_digits_in_jsonata,
    has_step_functions_own_functions,
    knows_the_context_in_a_predicate,
    names_errors_of_expressions,
    names_errors_of_conditions,
    catches_errors_of_outputs,
    writes_times_in_the_context,
    finds_nothing_by_a_filter,
    reads_variables_by_jsonpath,
    *rest_probes.PROBES,
    *auth_probes.PROBES,
]


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.__name__)
def test_the_local_aws_is_right(server: process.Server, probe: Callable[[Aws], bool]) -> None:
    reset(server)
    assert probe(connect(server))


@pytest.mark.weekly(every=6)
@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.__name__)
def test_moto_alone_is_not_yet(plain: process.Server, probe: Callable[[Aws], bool]) -> None:
    """When this fails, moto has closed the gap: raise the required version and remove the mend."""
    urllib.request.urlopen(
        urllib.request.Request(f"{plain.url}/moto-api/reset", method="POST")
    ).read()
    assert not probe(connect(plain))


# The second application gets other arguments, as when a second gateway is made in one process.
TWICE = """
import boto3
from moto import mock_aws

from deployer.local.moto_backend import mends

layers = {}, {}
for taken in layers:
    mends.apply(taken, "http://127.0.0.1:9", "KEY", lambda arn, payload: (b"{}", None))
with mock_aws():
    client = {
        name: boto3.client(name, "us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
        for name in ("iam", "lambda", "ecr")
    }
    role = client["iam"].create_role(RoleName="probe", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    client["lambda"].create_function(
        FunctionName="probe", PackageType="Image", Role=role, Code={"ImageUri": "probe@sha256:0"}
    )
    for memory in (256, 512):
        client["lambda"].update_function_configuration(FunctionName="probe", MemorySize=memory)
        print(client["lambda"].publish_version(FunctionName="probe")["Version"])
    client["ecr"].create_repository(repositoryName="probe")
    upload = client["ecr"].initiate_layer_upload(repositoryName="probe")["uploadId"]
    part = {"repositoryName": "probe", "uploadId": upload}
    client["ecr"].upload_layer_part(
        **part, partFirstByte=0, partLastByte=4, layerPartBlob=b"bytes"
    )
    digest = "sha256:277089d91c0bdf4f2e6862ba7e4a07605119431f5d13f726dd352b06f1b206a9"
    client["ecr"].complete_layer_upload(**part, layerDigests=[digest])
print(*(list(taken.values()) for taken in layers))
"""


@pytest.mark.slow
def test_a_second_mending_replaces_the_first() -> None:
    """A mend on top of a mend would number versions 2 and 4, and give the layer to both."""
    environment = {**os.environ, "MOTO_LAMBDA_STUB_ECR": "true"}  # or there must be an image
    done = subprocess.run(
        [sys.executable, "-c", TWICE], capture_output=True, text=True, env=environment
    )
    assert done.stdout.splitlines() == ["1", "2", "[] [b'bytes']"], done.stderr


START = """
import pathlib, sys
from deployer.local.gateway import Gateway
from deployer.local.moto_backend import application
from deployer.local.process import Credentials
Gateway(application.load(1), pathlib.Path("/nowhere"), 0, 1, Credentials("a", "b"))
print(*(name in sys.modules for name in ("moto.stepfunctions", "moto.ec2", "moto.batch")))
from moto.batch import batch_backends
from moto.batch.utils import JobStatus
from moto.batch.models import JobStatus as other
print(JobStatus is other, "us-east-1" in batch_backends["123456789012"])
"""


@pytest.mark.slow
def test_no_ec2_is_imported_at_the_start_and_batch_can_be_later() -> None:
    done = subprocess.run([sys.executable, "-c", START], capture_output=True, text=True)
    assert done.stdout.splitlines() == ["True False False", "True True"], done.stderr
