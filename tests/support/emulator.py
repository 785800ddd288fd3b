"""A function image under Lambda's own runtime interface emulator."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import docker
import requests

from tests.support.containers import wait_for

RUNTIME_API_PORT = 9001  # the emulator's own, on the host's network


@contextmanager
def running(
    engine: docker.DockerClient, image: str, environment: Mapping[str, str], **options: Any
) -> Iterator[Callable[[Any], Any]]:
    """Run an image on the host's network, so that it reaches servers on loopback; yield what
    invokes it.

    Invoking returns the parsed answer. The container is removed in any case.
    """
    address = f"127.0.0.1:{unused_port()}"
    wait_until_free(RUNTIME_API_PORT)
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


def wait_until_free(port: int, timeout_s: float = 60) -> None:
    """Wait until a port can be listened on: the last container may only just have ended."""
    end = time.monotonic() + timeout_s
    while True:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the emulator does
            try:
                probe.bind(("127.0.0.1", port))
                probe.listen()
                return
            except OSError:
                if time.monotonic() > end:
                    raise
        time.sleep(0.1)


def unused_port() -> int:
    """Return a port that nobody has, below those that systems give to outgoing connections: none
    takes it meanwhile.
    """
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
