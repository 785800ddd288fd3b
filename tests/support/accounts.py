"""Access to a local AWS, and its calls recorded."""

from __future__ import annotations

import urllib.request
from typing import Any

from deployer.aws.access import Aws
from deployer.local import process
from tests.support.clock import Clock


class Calls(list[tuple[str, str]]):
    """The AWS calls that were made, as (service, operation)."""

    READING = ("get_", "list_", "describe_", "head_", "batch_get_", "batch_check_", "validate_")

    def writing(self) -> list[tuple[str, str]]:
        return [call for call in self if not call[1].startswith(self.READING)]


def reset(server: process.Server) -> None:
    """Empty the account."""
    request = urllib.request.Request(
        server.url + process.RESET, headers=server.signed, method="POST"
    )
    urllib.request.urlopen(request).read()


def keys(server: process.Server) -> dict[str, str]:
    """Return the variables with a server's credentials, without its address."""
    return {
        name: value
        for name, value in server.environment(process.REGION).items()
        if "ENDPOINT" not in name
    }


def connect(server: process.Server, calls: Calls | None = None) -> Aws:
    clock = Clock()
    record = (
        (lambda service, operation: calls.append((service, operation)))
        if calls is not None
        else None
    )
    recording: dict[str, Any] = {"record": record} if record else {}
    return Aws(
        region=process.REGION,
        endpoint_url=server.url,
        credentials=server.credentials,
        clock=clock,
        sleep=clock.sleep,
        **recording,
    )
