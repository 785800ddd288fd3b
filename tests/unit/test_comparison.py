"""How two releases differ, in the words of the service."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from deployer.project.settings import Settings
from deployer.service.comparison import compared, workflow_difference
from deployer.service.contents import Contents, FunctionVersion

SETTINGS = Settings(Path()).located(account="123456789012", partition="aws", region="us-east-1")
ARN = SETTINGS.function_arn("price")
PLAIN: dict[str, Any] = {
    "CodeSha256": "a" * 64,
    "MemorySize": 1024,
    "Timeout": 10,
    "Architectures": ["x86_64"],
    "Role": "arn:aws:iam::123456789012:role/functions",
    "Description": "model aaaaaaaaaaaa, r2 0.5",
    "Environment": {"Variables": {"SHA256": "a" * 64, "SIGNATURE_SHA256": "1"}},
}


def workflow(number: int, **more: Any) -> dict[str, Any]:
    return {"States": {"price": {"Type": "Task", "Resource": f"{ARN}:{number}"}}, **more}


def lines(*changes: dict[str, Any], before: Any = None, after: Any = None) -> list[str]:
    """Compare version 1 of a function with version 2, which has these changes."""
    versions = {}
    for number, change in enumerate(({}, *changes), start=1):
        version = {**PLAIN, **change, "FunctionArn": f"{ARN}:{number}", "Version": str(number)}
        versions[f"{ARN}:{number}"] = FunctionVersion("price", version)
    contents = Contents(versions, frozenset(), frozenset())
    return list(compared(SETTINGS, contents, before or workflow(1), after or workflow(2)))


def environment(**variables: str) -> dict[str, Any]:
    return {"Environment": {"Variables": {**PLAIN["Environment"]["Variables"], **variables}}}


def test_each_part_of_a_function_is_named() -> None:
    assert lines({**environment(SHA256="b" * 64), "Description": "model b, r2 0.75"}) == [
        "price: model aaaaaaaaaaaa (r2 0.5) -> bbbbbbbbbbbb (r2 0.75)"
    ]
    assert lines({"CodeSha256": "c" * 64}) == ["price: image aaaaaaaaaaaa -> cccccccccccc"]
    assert lines({"MemorySize": 512, "Timeout": 20}) == [
        "price: memory 1024 MB -> 512 MB, timeout 10 s -> 20 s"
    ]
    assert lines({"EphemeralStorage": {"Size": 1024}}) == ["price: /tmp 512 MB -> 1024 MB"]
    assert lines({"Architectures": ["arm64"]}) == ["price: architecture x86_64 -> arm64"]
    assert lines({"Description": "model aaaaaaaaaaaa, r2 0.6"}) == [
        "price: metric r2 0.5 -> r2 0.6"
    ]
    assert lines(environment(SIGNATURE_SHA256="2")) == ["price: signature"]
    assert lines(environment(LOG_LEVEL="debug")) == ["price: environment"]
    assert lines({}) == ["price: published again"]


def test_functions_that_come_and_go_and_versions_that_are_gone_are_named() -> None:
    empty: dict[str, Any] = {"States": {}}
    assert lines({}, before=empty) == [
        "price: added, model aaaaaaaaaaaa (r2 0.5)",
        "workflow: changed",
    ]
    assert lines({}, after=empty) == ["price: removed", "workflow: changed"]
    assert lines() == ["price: version 1 -> 2; 2 is gone"]


def test_the_versions_of_functions_are_no_change_of_the_workflow() -> None:
    titles = ("release 1", "release 2")
    assert workflow_difference(SETTINGS, workflow(1), workflow(2), titles) == []
    assert lines({}, after=workflow(2, TimeoutSeconds=5))[-1] == "workflow: changed"
    shown = workflow_difference(SETTINGS, workflow(1), workflow(2, TimeoutSeconds=5), titles)
    assert shown[:2] == ["--- release 1", "+++ release 2"]
    assert '+  "TimeoutSeconds": 5' in shown and '       "Resource": "${price}",' in shown
