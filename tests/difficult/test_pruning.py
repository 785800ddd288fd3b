"""Old versions of functions go once nothing refers to them; the service comes first."""

from __future__ import annotations

import json

import pytest

from deployer.aws.access import Aws
from deployer.project.settings import FunctionSettings
from tests.support.deployments import Service
from tests.support.troubles import Always

FUNCTION = "inference-dev-random-forest"


def up(service: Service, versions: int) -> None:
    """Deploy so often, each time with another memory size and so with another version."""
    for number in range(versions):
        service.up(defaults=FunctionSettings(memory_mb=1024 + number))


def kept(aws: Aws) -> list[str]:
    versions = aws.pages("lambda", "list_versions_by_function", "Versions", FunctionName=FUNCTION)
    return [version["Version"] for version in versions if version["Version"] != "$LATEST"]


def test_the_last_three_versions_stay(service: Service) -> None:
    up(service, 5)
    aws = service.account.aws()
    assert kept(aws) == ["3", "4", "5"]
    assert service.plan(defaults=FunctionSettings(memory_mb=1028)).is_empty


def test_a_version_that_the_live_workflow_names_stays(service: Service) -> None:
    """Whatever else names it: here a state that somebody added to the project's workflow."""
    up(service, 1)
    aws = service.account.aws()
    arn = f"arn:aws:lambda:us-east-1:123456789012:function:{FUNCTION}:1"
    path = service.project / "state_machine.json"
    original = path.read_text()
    definition = {**json.loads(original), "Comment": f"before: {arn}"}
    try:
        path.write_text(json.dumps(definition))
        up(service, 5)
    finally:
        path.write_text(original)
    assert "1" in kept(aws) and len(kept(aws)) == 4


@pytest.mark.parametrize("operation", ["ListAliases", "DeleteFunction"])
def test_a_version_that_cannot_be_deleted_is_told_and_fails_no_deploy(
    service: Service, operation: str
) -> None:
    service.account.troubles = [Always(operation, "AccessDeniedException", "not allowed", 403)]
    up(service, 4)
    service.account.troubles = []
    assert any("old versions of functions were not deleted" in text for text in service.told)
    assert len(kept(service.account.aws())) == 4
    assert service.plan(defaults=FunctionSettings(memory_mb=1027)).is_empty
