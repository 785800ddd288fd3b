"""Real parts for images: a Docker engine, a registry on loopback, and in it a stand-in for AWS's
base image.

Where one is missing the tests skip with the reason; in CI, where .ci/run has to provide them, they
fail.
"""

from __future__ import annotations

import os
import platform
import shutil
import socket
import subprocess
from collections.abc import Iterator

import docker
import pytest
import requests
from docker.errors import DockerException

from tests.support import standin
from tests.support.containers import Registry, unavailable, wait_for


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    """The client of an engine that answers."""
    if platform.machine() != "x86_64":
        unavailable(
            f"the stand-in for AWS's image is made for x86_64, and this is {platform.machine()}"
        )
    try:
        client = docker.from_env(timeout=600)
        client.ping()
    except (DockerException, requests.RequestException) as error:
        unavailable(f"no Docker engine answers: {error}")
    yield client
    client.close()


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    program = shutil.which("docker-registry")
    if program is None:
        unavailable("docker-registry is not installed")
    folder = tmp_path_factory.mktemp("registry")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{probe.getsockname()[1]}"
    config = folder / "config.yml"
    config.write_text(
        f"version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {folder}/data\n  delete:\n   "
        f" enabled: true\n"
        f"http:\n  addr: {host}\n"
    )
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([program, "serve", str(config)], stdout=log, stderr=log)
    try:
        wait_for(f"http://{host}/v2/")
        yield Registry(host, folder)
    finally:
        process.terminate()
        process.wait()
        forget_images(host)


def forget_images(host: str) -> None:
    """Take away the names that tests gave to images of this registry; the stand-in stays for the
    next run.
    """
    try:
        client = docker.from_env(timeout=60)
        names = [
            name
            for image in client.images.list()
            for name in image.tags
            if name.startswith(f"{host}/")
        ]
        for name in names:
            client.images.remove(name, force=True)
        client.close()
    except (DockerException, requests.RequestException) as error:
        print(f"images of {host} are left in the engine: {error}")


@pytest.fixture(scope="session")
def base(engine: docker.DockerClient, registry: Registry) -> str:
    """The stand-in in the registry, as a reference with its tag."""
    if shutil.which("debootstrap") is None or os.geteuid() != 0:
        unavailable("the stand-in for AWS's image needs debootstrap and root")
    name = standin.build(engine)
    target = f"{registry.host}/lambda/python"
    engine.api.tag(name, target, standin.PYTHON)
    for message in engine.api.push(target, standin.PYTHON, stream=True, decode=True):
        assert "error" not in message, message
    return f"{target}:{standin.PYTHON}"
