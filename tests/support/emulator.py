"""A function image under Lambda's own runtime interface emulator."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import docker
import requests

from tests.support.containers import wait_for


@contextmanager
def running(
    engine: docker.DockerClient, image: str, environment: Mapping[str, str], **options: Any
) -> Iterator[Callable[[Any], Any]]:
    """Run an image on the host's network, so that it reaches servers on loopback; yield what
    invokes it.

    Invoking returns the parsed answer. The container is removed in any case.
    """
    address = f"127.0.0.1:{unused_port()}"
    container = engine.containers.run(
        image,
        detach=True,
        network_mode="host",
        environment={**environment, "RIE_ADDRESS": address},
        **options,
    )

    def invoke(payload: Any) -> Any:
        answer = requests.post(
            f"http://{address}/2015-03-31/functions/function/invocations", json=payload, timeout=60
        )
        assert answer.ok, f"{answer.text}\n{container.logs().decode()}"
        return answer.json()

    try:
        wait_for(f"http://{address}/", lambda: container.logs().decode())
        yield invoke
    finally:
        container.remove(force=True)


def unused_port() -> int:
    """Return a port that nobody has, below those that systems give to outgoing connections: none
    takes it meanwhile.
    """
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
