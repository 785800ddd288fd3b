"""IAM enforced by the local AWS: each of the service's roles does what it may, and no more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deployer.aws.access import Aws
from deployer.errors import AwsError
from deployer.local import process
from deployer.project.settings import Settings, load_settings
from deployer.service.invoke import Answer, Client, find_url
from tests.support.accounts import connect
from tests.support.command_line import deployer
from tests.support.projects import make_project

PREFIX = "inference-dev"
FUNCTION = f"{PREFIX}-random-forest"


class Enforced:
    """The service in a local AWS that enforces IAM, and its policies, to be taken away."""

    def __init__(self, project: Path) -> None:
        self.project = project
        server = process.find(project)
        assert server is not None
        self.aws: Aws = connect(server)
        self.request = (project / "samples" / "boston_housing.json").read_bytes()

    @property
    def settings(self) -> Settings:
        settings = load_settings(self.project, {}, {})
        return replace(settings, account=process.ACCOUNT, region=process.REGION)

    def restart(self) -> None:
        """End the functions' processes: what is warm keeps what it has read."""
        process.enforce_iam(self.project, False)
        process.enforce_iam(self.project, True)

    def ask(self) -> Answer:
        with Client(find_url(self.aws, self.settings)) as client:
            return client.post(self.request)

    def entries(self) -> dict[str, Any]:
        """Return the error of each model, None for one that answered."""
        answer = self.ask()
        assert answer.succeeded, answer.record
        return {entry["model"]: entry.get("error") for entry in answer.results or ()}

    def invoke(self) -> Any:
        """Invoke one function itself, and return its answer."""
        answer = self.aws.call("lambda", "invoke", FunctionName=FUNCTION, Payload=self.request)
        return json.loads(answer["Payload"].read())

    def streams(self) -> list[str]:
        """Return the names of the streams of one function's log group."""
        group = f"/aws/lambda/{FUNCTION}"
        found = self.aws.call("logs", "describe_log_streams", logGroupName=group)
        return [stream["logStreamName"] for stream in found["logStreams"]]


def statement(effect: str, action: str, resource: str, **more: Any) -> str:
    """Return a policy of one statement."""
    own = {"Effect": effect, "Action": action, "Resource": resource, **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [own]})


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, trained: Path) -> Iterator[Enforced]:
    folder = make_project(tmp_path_factory.mktemp("enforced") / "project", trained)
    result = deployer(folder, "up", "--local", "--enforce-iam")
    assert "the local AWS enforces IAM" in result.err
    yield Enforced(folder)
    process.force_stop(folder)


@contextmanager
def policy(service: Enforced, user: str, name: str, text: str | None) -> Iterator[None]:
    """Put a policy of a role in another's place, or take it away (None), for a while."""
    role = {"RoleName": f"{PREFIX}-{process.REGION}-{user}", "PolicyName": name}
    own = service.aws.call("iam", "get_role_policy", **role)["PolicyDocument"]
    if text is None:
        service.aws.call("iam", "delete_role_policy", **role)
    else:
        service.aws.call("iam", "put_role_policy", **role, PolicyDocument=text)
    service.restart()
    yield
    service.aws.call("iam", "put_role_policy", **role, PolicyDocument=json.dumps(own))
    service.restart()


def test_with_its_own_roles_the_service_answers_and_logs(service: Enforced) -> None:
    assert set(service.entries().values()) == {None}
    assert service.streams()


def test_a_function_reads_only_what_its_role_allows(service: Enforced) -> None:
    """PERM-2: the resource counts."""
    forest = f"{service.settings.bucket_arn}/models/random_forest/*"
    with policy(service, "functions", "models", statement("Allow", "s3:GetObject", forest)):
        entries = service.entries()
        assert entries.pop("random_forest") is None
        assert len(entries) == 2 and None not in entries.values()
        answer = service.invoke()
        assert "predictions" in answer, answer


@pytest.mark.slow
def test_a_function_whose_role_may_not_read_models_fails_in_its_init(service: Enforced) -> None:
    with policy(service, "functions", "models", None):
        answer = service.invoke()
        assert "is missing or forbidden" in answer["errorMessage"]
        record = service.ask().record
        assert (record["status"], record["error"]) == ("FAILED", "NoModelAnswered")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("user", "name", "action"),
    [
        ("workflow", "invoke", "lambda:InvokeFunction"),
        ("api", "start", "states:StartSyncExecution"),
    ],
)
def test_invoke_names_a_role_that_is_denied(
    service: Enforced, user: str, name: str, action: str
) -> None:
    with policy(service, user, name, None):
        failed = deployer(service.project, "invoke", "--sample", "--local", code=1)
    assert f"the role {PREFIX}-{process.REGION}-{user} may not {action}: " in failed.err


@pytest.mark.slow
def test_a_function_whose_role_may_not_log_leaves_no_lines(service: Enforced) -> None:
    """PERM-1: it answers all the same, as on AWS."""
    with policy(service, "functions", "logs", None):
        before = service.streams()
        assert "predictions" in service.invoke()
        assert service.streams() == before


def test_the_buckets_policy_counts_too(service: Enforced) -> None:
    bucket = {"Bucket": service.settings.bucket}
    own = service.aws.call("s3", "get_bucket_policy", **bucket)["Policy"]
    role = {"AWS": service.settings.role_arn("functions")}
    denial = statement("Deny", "s3:GetObject", f"{service.settings.bucket_arn}/*", Principal=role)
    service.aws.call("s3", "put_bucket_policy", **bucket, Policy=denial)
    service.restart()
    assert "is missing or forbidden" in service.invoke()["errorMessage"]
    service.aws.call("s3", "put_bucket_policy", **bucket, Policy=own)
    service.restart()


def test_a_permissions_boundary_limits_a_role(service: Enforced) -> None:
    """PERM-21."""
    made = service.aws.call(
        "iam",
        "create_policy",
        PolicyName="limit",
        PolicyDocument=statement("Allow", "logs:*", "*"),
    )
    name = {"RoleName": f"{PREFIX}-{process.REGION}-functions"}
    arn = made["Policy"]["Arn"]
    service.aws.call("iam", "put_role_permissions_boundary", **name, PermissionsBoundary=arn)
    service.restart()
    assert "is missing or forbidden" in service.invoke()["errorMessage"]
    service.aws.call("iam", "delete_role_permissions_boundary", **name)
    service.restart()


def test_lambda_pulls_an_image_only_where_the_repository_allows_it(service: Enforced) -> None:
    """PERM-8."""
    repository = {"repositoryName": PREFIX}
    own = service.aws.call("ecr", "get_repository_policy", **repository)["policyText"]
    service.aws.call("ecr", "delete_repository_policy", **repository)
    service.restart()
    with pytest.raises(AwsError, match="does not have permission to access the ECR image"):
        service.invoke()
    service.aws.call("ecr", "set_repository_policy", **repository, policyText=own)
    service.restart()
    assert "predictions" in service.invoke()


@pytest.mark.slow
def test_a_later_up_without_the_option_enforces_nothing(service: Enforced) -> None:
    with policy(service, "functions", "models", None):
        assert "errorMessage" in service.invoke()
        result = deployer(service.project, "up", "--local", "--yes")
        assert "no longer enforces IAM" in result.err
        service.aws.call(
            "iam",
            "delete_role_policy",
            RoleName=f"{PREFIX}-{process.REGION}-functions",
            PolicyName="models",
        )
        assert "predictions" in service.invoke()


def test_only_the_local_aws_takes_the_option(service: Enforced) -> None:
    result = deployer(service.project, "up", "--enforce-iam", code=2)
    assert "--enforce-iam is for --local" in result.err
