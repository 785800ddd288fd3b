"""A function image under Lambda's own runtime interface emulator."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import docker
import requests

from tests.containers.conftest import wait_for


@contextmanager
def running(
    engine: docker.DockerClient, image: str, environment: Mapping[str, str], **options: Any
) -> Iterator[Callable[[Any], Any]]:
    """Run an image on the host's network, so that it reaches servers on loopback; yield what invokes it.

    Invoking returns the parsed answer. The container is removed in any case.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    container = engine.containers.run(
        image, detach=True, network_mode="host", environment={**environment, "RIE_ADDRESS": address}, **options
    )

    def invoke(payload: Any) -> Any:
        answer = requests.post(f"http://{address}/2015-03-31/functions/function/invocations", json=payload, timeout=60)
        assert answer.ok, f"{answer.text}\n{container.logs().decode()}"
        return answer.json()

    try:
        wait_for(f"http://{address}/")
        yield invoke
    finally:
        container.remove(force=True)
