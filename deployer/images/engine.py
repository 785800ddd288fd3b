"""The builder that uses a Docker engine, or Podman's compatible socket, through the docker SDK."""

from __future__ import annotations

import base64
import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployer.aws.access import Tell
from deployer.errors import BuildError
from deployer.files import atomic_write
from deployer.images.cache import explain_disk_errors
from deployer.images.context import Context
from deployer.images.ecr import Calls
from deployer.images.layers import make_layer
from deployer.images.registry import PLATFORM

_PING_S = 5
_BUILD_S = 1800


@dataclass(frozen=True)
class Engine:
    """A running engine.

    Attributes:
        client: a docker.DockerClient.
        address: such as unix:///var/run/docker.sock.
    """

    client: Any
    address: str

    def close(self) -> None:
        """Close the connection."""
        self.client.close()

    def build(self, context: Context, name: str, tell: Tell) -> None:
        """Build an image for one platform. The classic builder adds no attestation (Img-6).

        Args:
            name: such as inference-dev:latest.

        Raises:
            BuildError: the message ends with the engine's last output.
        """
        arguments = {"BASE": context.base} if context.dockerfile.takes_base else {}
        options = {
            "fileobj": make_layer(context.files, "context").blob.open(),
            "encoding": "gzip",
            "custom_context": True,
            "tag": name,
            "buildargs": arguments,
            "platform": f"linux/{PLATFORM[context.architecture]}",
            "use_config_proxy": True,
            "rm": True,
            "forcerm": True,
        }
        last = ""
        with self._explain_errors("build"):
            for message in self.client.api.build(**options, decode=True):
                if "error" in message:
                    raise self._build_error(str(message["error"]).strip(), last, context)
                line = str(message.get("stream") or message.get("status") or "").strip()
                if line.startswith("Step "):
                    tell(f"docker build, {line[:120]}".replace(" : ", ", ", 1))
                last = line if line and not line.startswith(("--->", "Removing")) else last
        self._check_platform(name, context.architecture)

    def _check_platform(self, name: str, architecture: str) -> None:
        with self._explain_errors("inspect the image"):
            image = self.client.images.get(name).attrs
        if image["Architecture"] != PLATFORM[architecture] or image["Os"] != "linux":
            raise BuildError(
                f"the engine at {self.address} built for {image['Os']}/{image['Architecture']},"
                f" but the functions are for linux/{PLATFORM[architecture]}",
                "use --builder direct, or an engine that builds for that platform",
            )

    def _build_error(self, error: str, last: str, context: Context) -> BuildError:
        if "exec format error" in f"{error} {last}":
            return BuildError(
                f"the engine at {self.address} cannot run programs for {context.architecture}",
                "use --builder direct, which runs none, or install emulation (binfmt_misc)",
            )
        detail = f" (before it: {last})" if last and last not in error else ""
        return BuildError(
            f"the engine at {self.address} failed to build {context.folder.name}/: {error}{detail}"
        )

    def push(self, aws: Calls, name: str, repository: str, tag: str, tell: Tell) -> str:
        """Push an image to ECR, and return its digest there.

        The token is passed with the push alone (Img-1, Img-3); `docker login` is not used or
        changed.

        Args:
            name: the image's name in the engine.
        """
        answer = aws.call("ecr", "get_authorization_token")["authorizationData"][0]
        user, _, password = base64.b64decode(answer["authorizationToken"]).decode().partition(":")
        target = f"{answer['proxyEndpoint'].partition('://')[2]}/{repository}"
        with self._explain_errors("push"):
            self.client.api.tag(name, target, tag)
            try:
                credentials = {"username": user, "password": password}
                stream = self.client.api.push(
                    target, tag, stream=True, decode=True, auth_config=credentials
                )
                return _follow_push(stream, tell)
            finally:
                self.client.api.remove_image(f"{target}:{tag}", noprune=True)

    def untag(self, name: str) -> None:
        """Remove a name. The layers stay as build cache, until `docker image prune`."""
        from docker.errors import APIError  # type: ignore[import-untyped]

        with self._explain_errors("untag the image"):
            try:
                # Without force, an image that a stopped container uses is not untagged, and that
                # error would hide why a push failed.
                self.client.api.remove_image(name, force=True, noprune=True)
            except APIError as error:
                # Another client of the engine removed the image just now: its name is gone, too.
                gone = error.status_code == 404 or "unrecognized image ID" in str(error.explanation)
                if not gone:
                    raise

    def save(self, name: str, target: Path) -> None:
        """Write an image to a file for `docker load`."""
        with (
            self._explain_errors("save"),
            explain_disk_errors(target),
            atomic_write(target) as stream,
        ):
            for chunk in self.client.api.get_image(name):
                stream.write(chunk)

    @contextmanager
    def _explain_errors(self, action: str) -> Iterator[None]:
        """Turn the SDK's errors into a BuildError that names the engine and the action."""
        from docker.errors import APIError, DockerException
        from requests import RequestException

        try:
            yield
        except APIError as error:
            raise BuildError(
                f"the engine at {self.address} refuses to {action}: {error.explanation}"
            ) from error
        except (DockerException, RequestException, ConnectionError) as error:
            raise BuildError(
                f"the engine at {self.address} went away during {action}: {error}",
                "start it and run up again, or use --builder direct",
            ) from error


def _follow_push(stream: Iterable[Mapping[str, Any]], tell: Tell) -> str:
    """Read the messages of a push, and return the digest. Errors are messages, too (Img-3)."""
    statuses: dict[str, str] = {}
    digest = ""
    for message in stream:
        if "error" in message:
            raise BuildError(
                f"the registry refused the push: {str(message['error']).strip()}",
                _push_advice(message["error"]),
            )
        if "id" in message and message.get("status"):
            statuses[message["id"]] = message["status"]
            progress = message.get("progressDetail") or {}
            if progress.get("total"):
                tell(
                    f"pushing {message['id']}: {progress['current'] / 1e6:.1f} of "
                    f"{progress['total'] / 1e6:.1f} MB"
                )
        digest = message.get("aux", {}).get("Digest", digest)
    if not digest:
        raise BuildError(
            "the push ended without a digest, so its result is unknown", "run up again"
        )
    reused = sum("exists" in status for status in statuses.values())
    pushed = sum(status.startswith(("Pushed", "Mounted")) for status in statuses.values())
    tell(f"{pushed} layers pushed, {reused} were there", lasting=True)
    return digest


def _push_advice(error: str) -> str:
    refusals = ("expired", "denied", "unauthorized", "no basic auth")
    if any(refusal in error.lower() for refusal in refusals):
        return (
            "the ECR token was refused: it lasts twelve hours; run up again with credentials "
            "that may push"
        )
    return "run up again: layers that were pushed are skipped"


def find_engine() -> Engine | None:
    """Return the first engine that answers, or None.

    DOCKER_HOST is tried alone. Without it: the docker context, the usual sockets, Podman's sockets.
    """
    import docker  # type: ignore[import-untyped]
    from docker.errors import DockerException
    from requests import RequestException

    for address, options in _endpoints():
        if not _listens(address):
            continue
        try:
            client = docker.DockerClient(timeout=_PING_S, **options)
            client.ping()
            client.close()
            return Engine(docker.DockerClient(timeout=_BUILD_S, **options), address)
        except (DockerException, RequestException, OSError):
            continue
    return None


def _listens(address: str) -> bool:
    """Return False for a Unix socket that nobody listens on: the SDK would leak a connection."""
    if not address.startswith("unix://"):
        return True
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_PING_S)
        try:
            probe.connect(address.removeprefix("unix://"))
        except OSError:
            return False
    return True


def _endpoints() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (address, options for DockerClient) of the engines to try."""
    from docker.context import ContextAPI  # type: ignore[import-untyped]
    from docker.errors import DockerException
    from docker.utils import kwargs_from_env  # type: ignore[import-untyped]

    if os.environ.get("DOCKER_HOST"):  # the user's choice, so no other engine is tried
        yield os.environ["DOCKER_HOST"], kwargs_from_env()
        return
    try:
        context = ContextAPI.get_current_context()
    except (DockerException, OSError, ValueError):
        context = None  # Docker reports errors in its configuration itself.
    if context is not None and context.Host:
        yield context.Host, {"base_url": context.Host, "tls": context.TLSConfig or False}
    home, run = Path.home(), os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}")
    for path in ("/var/run/docker.sock", home / ".docker/run/docker.sock", f"{run}/docker.sock"):
        yield f"unix://{path}", {"base_url": f"unix://{path}"}
    for path in (f"{run}/podman/podman.sock", "/run/podman/podman.sock"):
        yield f"unix://{path}", {"base_url": f"unix://{path}"}
