"""Images that are gone, or that nobody can pull, while functions use them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pytest

from deployer.errors import ApplyFailed
from deployer.project.settings import FunctionSettings
from tests.support.deployments import Service
from tests.support.wire import Answer, Call, Forward, refusal

REFUSED = "The function is trying to use a deleted image"


@dataclass
class DeletedImage:
    """Lambda has noticed that its image is gone: the functions failed, and until the code is
    written, no configuration is taken (ECR-12)."""

    mended: frozenset[str] = frozenset()
    shown: bool = True

    def __call__(self, call: Call, forward: Forward) -> Answer | None:
        function = call.url.partition("/functions/")[2].partition("/")[0].partition("?")[0]
        if call.operation == "UpdateFunctionCode":
            self.mended |= {function}
        elif function in self.mended:
            return None
        elif call.operation == "UpdateFunctionConfiguration":
            return refusal("lambda", "InvalidParameterValueException", REFUSED)
        elif call.operation == "GetFunction" and self.shown:
            answer = forward(call)
            failed = {"State": "Failed", "StateReasonCode": "ImageDeleted"}
            found = answer.json
            found["Configuration"] = {**found["Configuration"], **failed}
            return answer.with_json(found)
        return None


def delete_images(service: Service) -> None:
    aws, repository = service.account.aws(), service.settings.repository
    images = aws.call("ecr", "list_images", repositoryName=repository)["imageIds"]
    aws.call("ecr", "batch_delete_image", repositoryName=repository, imageIds=images)


@pytest.mark.parametrize("shown", [True, False])
def test_the_code_is_put_before_the_configuration_where_the_image_is_gone(
    service: Service, shown: bool
) -> None:
    """ECR-12; and where Lambda has not noticed it yet, the function does not show it."""
    service.up()
    delete_images(service)
    service.account.troubles = [DeletedImage(shown=shown)]
    larger: dict[str, Any] = {"defaults": FunctionSettings(memory_mb=2048), "tracing": True}
    if not shown:  # the image is another one, as after a revert
        service.overrides = {"architecture": "arm64"}
    service.up(**larger)
    assert service.plan(**larger).is_empty


def test_a_function_whose_image_is_gone_is_healed_by_the_same_image_pushed_again(
    service: Service,
) -> None:
    """ECR-12: the image's digest is the same, so nothing but the failure shows."""
    service.up()
    delete_images(service)
    service.account.troubles = [DeletedImage()]
    (change,) = (
        change for change in service.plan().effective if change.key == "function/random_forest"
    )
    assert ("failure", "ImageDeleted") in {(field.path, field.before) for field in change.fields}
    service.account.calls.clear()
    service.up()
    written = [call.operation for call in service.account.calls if call.service == "lambda"]
    assert written.count("UpdateFunctionCode") == 3
    assert service.plan().is_empty


def live(service: Service) -> set[str]:
    """Return the numbers of the functions' versions that the workflow calls."""
    answer = service.account.aws().call(
        "stepfunctions", "describe_state_machine", stateMachineArn=service.settings.workflow_arn
    )
    return set(re.findall(r":function:[\w-]+:(\d+)", answer["definition"]))


@dataclass
class FailedVersions:
    """Lambda keeps published versions as Failed. GetFunction alone says so, and a version of the
    same code and configuration is not published anew (Lambda-35, Lambda-36)."""

    numbers: frozenset[str]

    def __call__(self, call: Call, forward: Forward) -> Answer | None:
        if call.operation == "PublishVersion":
            answer = forward(call)
            return answer.with_json({**answer.json, "State": "Pending"})
        if call.operation != "GetFunction" or call.url.rpartition("=")[2] not in self.numbers:
            return None
        answer = forward(call)
        failed = {"State": "Failed", "StateReasonCode": "ImageDeleted"}
        found = answer.json
        found["Configuration"] = {**found["Configuration"], **failed}
        return answer.with_json(found)


@pytest.mark.parametrize("image_is_back", [True, False])
def test_a_version_that_stays_failed_is_published_anew(
    service: Service, image_is_back: bool
) -> None:
    """ECR-12, Lambda-36; whether somebody else has put the image back, or this run does."""
    service.up()
    if not image_is_back:
        delete_images(service)
    service.account.troubles = [FailedVersions(frozenset({"1"}))]
    changes = {change.key: change for change in service.plan().effective}
    assert ("image" in changes) is not image_is_back
    fields = {(field.path, field.before) for field in changes["function/random_forest"].fields}
    assert ("failure", "ImageDeleted") in fields
    assert "workflow" in changes
    service.up()
    assert live(service) == {"2"}
    assert service.plan().is_empty


def test_a_failed_version_is_kept_where_another_one_is_published_anyway(service: Service) -> None:
    """A release that is kept may name it, and somebody may want to look at it."""
    service.up()
    service.account.troubles = [FailedVersions(frozenset({"1"}))]
    service.account.calls.clear()
    service.up(defaults=FunctionSettings(memory_mb=2048))
    assert "DeleteFunction" not in {call.operation for call in service.account.calls}


def test_a_version_that_recovered_meanwhile_is_kept(service: Service) -> None:
    """It may be live: to delete it would be an outage."""
    service.up()
    trouble = FailedVersions(frozenset({"1"}))

    def until_the_code_is_put(call: Call, forward: Forward) -> Answer | None:
        if call.operation == "UpdateFunctionCode":
            trouble.numbers = frozenset()
        return trouble(call, forward)

    service.account.troubles = [until_the_code_is_put]
    service.account.calls.clear()
    service.up()
    assert "DeleteFunction" not in {call.operation for call in service.account.calls}
    assert live(service) == {"1"}


def test_a_new_version_that_fails_is_not_published_again(service: Service) -> None:
    service.up()
    service.account.troubles = [FailedVersions(frozenset({"1", "2"}))]
    with pytest.raises(ApplyFailed) as caught:
        service.up()
    assert "ImageDeleted" in str(caught.value)


@pytest.mark.parametrize("status", ["ARCHIVED", "ACTIVATING", None])
def test_an_image_that_cannot_be_pulled_counts_as_absent(
    service: Service, status: str | None
) -> None:
    """ECR-13, ECR-14: it is archived, is being restored, or the answer names no image at all."""
    service.up()

    def without_image(call: Call, forward: Forward) -> Answer | None:
        if call.operation != "DescribeImages":
            return None
        answer = forward(call)
        images = [{**image, "imageStatus": status} for image in answer.json["imageDetails"]]
        return answer.with_json({"imageDetails": images if status else []})

    service.account.troubles = [without_image]
    actions = {change.key: change.action.value for change in service.plan().effective}
    assert actions["image"] == "create"


def test_no_lifecycle_rule_takes_an_image_with_a_tag(service: Service) -> None:
    """ECR-6, ECR-12: several contexts share the repository, so no number of images is safe."""
    from deployer.service import declare

    policy: Any = declare.repository(service.settings).fields["lifecycle_policy"]
    assert {rule["selection"]["tagStatus"] for rule in policy["rules"]} == {"untagged"}
