"""Calls of AWS: clients made once, errors translated once, throttles and failures waited out."""

from __future__ import annotations

import itertools
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore import exceptions
from botocore.stub import Stubber

from deployer.aws.access import Aws
from deployer.aws.botocore_patches import SERVICES
from deployer.aws.identity import Identity
from deployer.commands.session import tell_unknown_region
from deployer.errors import AwsError, ConfigError, NoCredentials, NotReached
from tests.support.clock import Clock

REGION = "eu-central-1"


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def aws(clock):
    return Aws(region=REGION, credentials=("key", "secret"), clock=clock, sleep=clock.sleep)


@pytest.fixture
def stub(aws):
    """Return a function that stubs a service's client; every queued answer must be used up."""
    stubs = []

    def stub(service):
        stubs.append(Stubber(aws.client(service)))
        stubs[-1].activate()
        return stubs[-1]

    yield stub
    for made in stubs:
        made.assert_no_pending_responses()


def test_a_refusal_becomes_one_error_with_all_that_aws_said(aws, stub):
    stub("lambda").add_client_error(
        "get_function", "AccessDeniedException", "no", 403, response_meta={"RequestId": "r-1"}
    )
    with pytest.raises(AwsError) as caught:
        aws.call("lambda", "get_function", FunctionName="x")
    error = caught.value
    assert (error.code, error.aws_message, error.operation) == (
        "AccessDeniedException",
        "no",
        "GetFunction",
    )
    assert (error.status, error.request_id) == (403, "r-1")
    assert error.advice.startswith("these credentials may not do that")
    assert isinstance(error.__cause__, exceptions.ClientError)


def test_a_refusal_without_words_is_still_an_error_with_a_message(aws, stub):
    stub("s3").add_client_error("head_bucket", "404", "", 404)
    with pytest.raises(AwsError, match="^HeadBucket: 404: no message"):
        aws.call("s3", "head_bucket", Bucket="some-bucket")


def test_finding_returns_what_is_there(aws, stub):
    stub("iam").add_response("list_role_tags", {"Tags": []}, {"RoleName": "x"})
    assert aws.find(("NoSuchEntity",), "iam", "list_role_tags", RoleName="x")["Tags"] == []


@pytest.mark.parametrize("status", [404, 400])
def test_finding_returns_none_for_this_operations_way_to_say_not_there(aws, stub, status):
    """GEN-2: "not found" can be HTTP 400."""
    stub("iam").add_client_error("get_role", "NoSuchEntity", "The role cannot be found.", status)
    assert aws.find(("NoSuchEntity",), "iam", "get_role", RoleName="x") is None


@pytest.mark.parametrize(("code", "status"), [("AccessDenied", 403), ("NoSuchThing", 404)])
def test_finding_raises_every_other_error(aws, stub, code, status):
    stub("iam").add_client_error("get_role", code, "no", status)
    with pytest.raises(AwsError, match=code):
        aws.find(("NoSuchEntity",), "iam", "get_role", RoleName="x")


def test_pages_are_asked_for_one_by_one_and_joined():
    recorded = []
    aws = Aws(
        region=REGION, credentials=("key", "secret"), record=lambda *call: recorded.append(call)
    )
    with Stubber(aws.client("logs")) as stub:
        stub.add_response(
            "describe_log_groups", {"logGroups": [{"logGroupName": "a"}], "nextToken": "t"}
        )
        stub.add_response("describe_log_groups", {})
        stub.add_response("describe_log_groups", {"logGroups": []})
        groups = aws.pages("logs", "describe_log_groups", "logGroups", logGroupNamePrefix="x")
        assert [group["logGroupName"] for group in groups] == ["a"]
        assert list(aws.pages("logs", "describe_log_groups", "logGroups")) == []
    assert recorded[0] == ("logs", "describe_log_groups")


def test_a_page_that_is_refused_is_translated_as_well(aws, stub):
    stub("logs").add_client_error("describe_log_groups", "AccessDeniedException", "no", 400)
    with pytest.raises(AwsError, match="may not do that") as caught:
        list(aws.pages("logs", "describe_log_groups", "logGroups"))
    assert caught.value.operation == "DescribeLogGroups"


def test_a_page_that_is_throttled_is_asked_for_again_and_nothing_of_the_listing_is_lost(aws, stub):
    logs = stub("logs")
    logs.add_response(
        "describe_log_groups", {"logGroups": [{"logGroupName": "a"}], "nextToken": "t"}
    )
    logs.add_client_error("describe_log_groups", "ThrottlingException", "Rate exceeded", 400)
    logs.add_response(
        "describe_log_groups", {"logGroups": [{"logGroupName": "b"}]}, {"nextToken": "t"}
    )
    groups = aws.pages("logs", "describe_log_groups", "logGroups")
    assert [group["logGroupName"] for group in groups] == ["a", "b"]


@pytest.mark.parametrize(
    "service, operation, code, status",
    [
        ("iam", "list_roles", "Throttling", 400),
        ("lambda", "list_functions", "TooManyRequestsException", 429),
        ("apigatewayv2", "get_apis", "TooManyRequestsException", 429),
        ("logs", "describe_log_groups", "ThrottlingException", 400),
        ("ecr", "describe_repositories", "ThrottlingException", 400),
        ("stepfunctions", "list_state_machines", "ThrottlingException", 400),
        ("s3", "list_buckets", "SlowDown", 503),
    ],
)
def test_a_throttle_is_waited_out_with_growing_delays_and_told(
    aws, stub, clock, service, operation, code, status
):
    """R-23, R-26, TEST-26: each service in its own words."""
    told = []
    client = stub(service)
    for _ in range(4):
        client.add_client_error(operation, code, "Slow down", status)
    client.add_response(
        operation, {"iam": {"Roles": []}, "stepfunctions": {"stateMachines": []}}.get(service, {})
    )
    aws.telling(told.append).call(service, operation)
    assert told == ["waiting for AWS: too many calls in this account"] * 4
    growth = [later / earlier for earlier, later in itertools.pairwise(clock.slept)]
    assert len(growth) == 3 and min(growth) > 2 * 0.7


def test_a_throttle_that_says_so_only_in_its_message_is_one(aws, stub):
    """R-26."""
    ecr = stub("ecr")
    ecr.add_client_error("describe_repositories", "ClientException", "Rate exceeded", 400)
    ecr.add_response("describe_repositories", {"repositories": []})
    assert aws.call("ecr", "describe_repositories")["repositories"] == []


@pytest.mark.parametrize(
    "code", ["LimitExceededException", "LimitExceeded", "StateMachineLimitExceeded"]
)
def test_a_quota_that_is_used_up_fails_at_once(aws, stub, clock, code):
    """GEN-3: botocore's standard mode would try it again and again."""
    stub("logs").add_client_error("create_log_group", code, "Resource limit exceeded.", 400)
    with pytest.raises(AwsError, match="quota"):
        aws.call("logs", "create_log_group", logGroupName="x")
    assert clock.slept == []


def test_a_failure_of_aws_is_tried_again_until_the_deadline(aws, stub, clock):
    iam = stub("iam")
    for _ in range(3):
        iam.add_client_error("get_role", "InternalFailure", "oops", 500)
    iam.add_client_error("get_role", "NoSuchEntity", "gone", 404)
    assert aws.find(("NoSuchEntity",), "iam", "get_role", RoleName="x") is None
    assert len(clock.slept) == 3


def test_what_must_not_happen_twice_is_called_once_unless_throttled(aws, stub):
    """Api-3."""
    api = stub("apigatewayv2")
    api.add_client_error("create_api", "TooManyRequestsException", "Too Many Requests", 429)
    api.add_client_error("create_api", "InternalError", "oops", 500)
    with pytest.raises(AwsError, match="oops"):
        aws.call_once("apigatewayv2", "create_api", Name="x", ProtocolType="HTTP")


def test_calls_keep_to_the_documented_rate(aws, stub, clock):
    """Api-30: ten a second once the burst is spent."""
    api = stub("apigatewayv2")
    for _ in range(60):
        api.add_response("get_apis", {"Items": []})
    for _ in range(60):
        aws.call("apigatewayv2", "get_apis")
    assert sum(clock.slept) == pytest.approx(2.0)


def test_rest_apis_share_the_rate_of_http_apis_but_for_rates_of_their_own(aws, stub, clock):
    """Rest-15."""
    http, rest = stub("apigatewayv2"), stub("apigateway")
    for _ in range(25):
        http.add_response("get_apis", {"Items": []})
        rest.add_response("get_rest_apis", {"items": []})
    for _ in range(25):
        aws.call("apigatewayv2", "get_apis")
        aws.call("apigateway", "get_rest_apis")
    assert sum(clock.slept) == pytest.approx(1.0)
    for _ in range(2):
        rest.add_response("create_deployment", {"id": "x"})
    for _ in range(2):
        aws.call("apigateway", "create_deployment", restApiId="y")
    assert sum(clock.slept) == pytest.approx(6.0)


def test_usage_plans_and_keys_have_rates_of_their_own(aws, stub, clock):
    """Key-5."""
    rest = stub("apigateway")
    for _ in range(2):
        rest.add_response("update_usage_plan", {"id": "x"})
        aws.call("apigateway", "update_usage_plan", usagePlanId="x")
    assert sum(clock.slept) == pytest.approx(20.0)
    for _ in range(6):
        rest.add_response("create_api_key", {"id": "x"})
        aws.call("apigateway", "create_api_key")
    assert sum(clock.slept) == pytest.approx(20.2)


def test_every_call_is_recorded_even_one_that_is_refused():
    recorded = []
    aws = Aws(
        region=REGION, credentials=("key", "secret"), record=lambda *call: recorded.append(call)
    )
    with Stubber(aws.client("iam")) as stub:
        stub.add_client_error("get_role", "NoSuchEntity")
        aws.find(("NoSuchEntity",), "iam", "get_role", RoleName="x")
    assert recorded == [("iam", "get_role")]


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov"])
def test_the_identity_is_asked_once_and_knows_its_partition(aws, stub, partition):
    arn = f"arn:{partition}:sts::123456789012:assumed-role/x/y"
    stub("sts").add_response(
        "get_caller_identity", {"Account": "123456789012", "Arn": arn, "UserId": "u"}
    )
    assert aws.identity == aws.identity == Identity("123456789012", partition, arn)


@pytest.mark.parametrize(
    "error, code, part",
    [
        (exceptions.NoCredentialsError(), "NoCredentials", "unable to locate credentials"),
        (
            exceptions.PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"),
            "NoCredentials",
            "partial credentials found in env",
        ),
        (exceptions.TokenRetrievalError(provider="sso", error_msg="gone"), "ExpiredToken", "gone"),
        (exceptions.SSOTokenLoadError(error_msg="gone"), "ExpiredToken", "gone"),
        (exceptions.UnauthorizedSSOTokenError(), "ExpiredToken", "expired"),
    ],
)
def test_a_call_that_cannot_be_signed_says_how_to_sign_in(aws, error, code, part):
    def refuse(**kwargs):
        raise error

    aws.client("sts").meta.events.register("before-call", refuse)
    with pytest.raises(NoCredentials) as caught:
        aws.call("sts", "get_caller_identity")
    assert caught.value.code == code
    assert part in caught.value.message
    assert "sign in" in caught.value.advice


def test_without_credentials_the_advice_leads_to_the_local_mode():
    with pytest.raises(NoCredentials) as caught:
        Aws(region=REGION).call("sts", "get_caller_identity")
    assert "--local" in caught.value.advice


def test_a_connection_that_breaks_is_told_as_not_reached():
    """A server on the loopback that closes each connection without an answer: a few attempts, then
    the error.
    """
    clock = Clock()
    attempts = []

    def hang_up(server):
        while True:
            try:
                server.accept()[0].close()
            except OSError:
                return
            attempts.append(1)

    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:
        pool.submit(hang_up, server)
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        aws = Aws(
            region=REGION,
            endpoint_url=url,
            credentials=("key", "secret"),
            clock=clock,
            sleep=clock.sleep,
        )
        with pytest.raises(NotReached) as caught:
            aws.call("sts", "get_caller_identity")
        server.shutdown(socket.SHUT_RDWR)
    assert len(attempts) == len(clock.slept) + 1 > 2
    assert sum(clock.slept) <= 4
    assert caught.value.operation == "GetCallerIdentity"
    assert caught.value.advice == "check the network, proxies and --endpoint-url"


def test_a_connection_that_is_refused_names_the_endpoint():
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
    clock = Clock()
    aws = Aws(
        region=REGION,
        endpoint_url=url,
        credentials=("key", "secret"),
        clock=clock,
        sleep=clock.sleep,
    )
    with pytest.raises(
        AwsError, match=f'GetCallerIdentity: .*Could not connect to the endpoint URL: "{url}/"'
    ):
        aws.call("sts", "get_caller_identity")


def test_a_parameter_that_does_not_exist_is_an_error_of_the_call(aws):
    with pytest.raises(AwsError, match="(?s)GetFunction: ParamValidationError: .*NoSuchThing"):
        aws.call("lambda", "get_function", FunctionName="x", NoSuchThing=1)


def test_without_a_region_nothing_is_called_and_all_places_are_named():
    with pytest.raises(ConfigError, match="no region: neither --region, DEPLOYER_REGION") as caught:
        Aws(credentials=("key", "secret")).call("sts", "get_caller_identity")
    assert "--region" in caught.value.advice


def test_the_region_may_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    assert Aws().region == "eu-west-1"
    assert Aws(region=REGION).region == REGION


def test_an_unknown_profile_is_told_by_name():
    with pytest.raises(NoCredentials, match="ProfileNotFound: .*nobody") as caught:
        Aws(profile="nobody", region=REGION).call("sts", "get_caller_identity")
    assert "--local" in caught.value.advice


def test_an_endpoint_that_is_no_url_is_told():
    with pytest.raises(AwsError, match="localhost"):
        Aws(region=REGION, endpoint_url="localhost", credentials=("k", "s")).call(
            "sts", "get_caller_identity"
        )


def test_a_client_is_made_once_however_many_threads_ask(aws):
    with ThreadPoolExecutor(8) as pool:
        clients = list(pool.map(aws.client, ["lambda", "iam"] * 8))
    assert len({id(client) for client in clients}) == 2
    assert clients[0] is aws.client("lambda")


def test_botocore_itself_repeats_nothing(aws):
    """Api-3, GEN-3: it would repeat what must not happen twice."""
    assert aws.client("apigatewayv2").meta.config.retries["total_max_attempts"] == 1


def test_calls_that_do_not_wait_for_one_another_are_made_at_once(aws):
    """Each of the three waits for the others, so one after the other they would never end."""
    barrier = threading.Barrier(3, timeout=30)
    before = threading.active_count()
    assert sorted(aws.together(*(lambda: barrier.wait() for _ in range(3)))) == [0, 1, 2]
    assert threading.active_count() == before


def test_the_first_error_of_calls_made_at_once_is_raised_when_all_have_ended(aws):
    ended = []

    def fail(error):
        ended.append(error.code)
        raise error

    one, other = AwsError("One", "1"), AwsError("Other", "2")
    with pytest.raises(AwsError) as caught:
        aws.together(lambda: fail(one), lambda: fail(other))
    assert caught.value is one and sorted(ended) == ["One", "Other"]


def test_clients_are_made_beforehand_and_an_error_shows_at_the_first_call(monkeypatch):
    aws = Aws(region=REGION, credentials=("key", "secret"))
    aws.make_clients()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "localhost")  # no client can be made with it
    for service in SERVICES:
        aws.client(service)
    with pytest.raises(AwsError, match="localhost"):
        aws.client("sts")
    broken = Aws(region=REGION, credentials=("key", "secret"))
    broken.make_clients()
    with pytest.raises(AwsError, match="localhost"):
        broken.call("iam", "get_role", RoleName="x")


def test_the_endpoint_is_none_where_aws_itself_answers(aws):
    assert aws.endpoint is None
    for region in ("cn-north-1", "eusc-de-east-1", "us-iso-east-1", "ap-south-99"):
        assert Aws(region=region, credentials=("k", "s")).endpoint is None


@pytest.mark.parametrize(
    ("partition", "suffix"),
    [
        ("aws", "amazonaws.com"),
        ("aws-us-gov", "amazonaws.com"),
        ("aws-cn", "amazonaws.com.cn"),
        ("aws-eusc", "amazonaws.eu"),
        ("aws-iso-f", "csp.hci.ic.gov"),
        ("aws-of-the-future", "amazonaws.com"),
    ],
)
def test_the_suffix_of_the_registry_is_that_of_the_partition(aws, partition, suffix):
    assert aws.partitions.dns_suffix(partition) == suffix


@pytest.mark.parametrize(
    ("region", "endpoint", "warned"),
    [
        ("eu-central-1", None, False),
        ("cn-north-1", None, False),
        ("ap-south-99", None, True),
        ("ap-south-99", "http://localhost:1", False),
    ],
)
def test_a_region_that_botocore_does_not_know_is_a_warning(region, endpoint, warned):
    notes = []
    tell_unknown_region(
        Aws(region=region, endpoint_url=endpoint, credentials=("k", "s")), notes.append
    )
    assert [f"does not know the region {region};" in note.text for note in notes] == [True] * warned


def test_the_endpoint_is_told_whoever_names_it(monkeypatch):
    assert Aws(region=REGION, endpoint_url="http://localhost:1").endpoint == "http://localhost:1"
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://localhost:2")
    assert Aws(region=REGION, credentials=("k", "s")).endpoint == "http://localhost:2"


def test_an_overridden_endpoint_has_no_prefix_on_its_host(aws, monkeypatch):
    """Sfn-22: StartSyncExecution goes to sync-states..., which only AWS itself has."""
    overridden = Aws(region=REGION, endpoint_url="http://localhost:1", credentials=("k", "s"))
    assert overridden.client("stepfunctions").meta.config.inject_host_prefix is False
    assert aws.client("stepfunctions").meta.config.inject_host_prefix is True
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://localhost:2")
    by_environment = Aws(region=REGION, credentials=("k", "s"))
    assert by_environment.client("stepfunctions").meta.config.inject_host_prefix is False
