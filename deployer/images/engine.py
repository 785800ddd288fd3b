"""The builder that uses a Docker engine (or Podman's compatible socket) through the docker SDK."""

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
from deployer.images.cache import atomic_write, explain_disk_errors
from deployer.images.context import Context
from deployer.images.ecr import Calls
from deployer.images.layers import make_layer
from deployer.images.registry import PLATFORM

_PING_S = 5
_BUILD_S = 1800


@dataclass(frozen=True)
class Engine:
    """An engine that answers.

    `client`: a docker.DockerClient. `address`: its address.
    """

    client: Any
    address: str

    def close(self) -> None:
        """Let the connection go."""
        self.client.close()

    def build(self, context: Context, name: str, tell: Tell) -> None:
        """Build a context under a name, for one platform. The classic builder adds no attestation
        (Img-6).

        Raises:
            BuildError: with the engine's own last words.
        """
        dockerfile = context.dockerfile
        arguments = {"BASE": context.base} if dockerfile.takes_base else {}
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
            found = self.client.images.get(name).attrs
        if found["Architecture"] != PLATFORM[architecture] or found["Os"] != "linux":
            raise BuildError(
                f"the engine at {self.address} built for {found['Os']}/{found['Architecture']},"
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
        """Push a built image to ECR and return its digest there.

        The token lives in this call alone (Img-1, Img-3), so the machine's docker login is neither
        used nor changed.
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
        """Take a name away; the layers stay as the engine's build cache, for docker image prune to
        clear.
        """
        with self._explain_errors("untag the image"):
            # force: else an image that a stopped container uses keeps its name, and that would hide
            # why a push failed
            self.client.api.remove_image(name, force=True, noprune=True)

    def save(self, name: str, target: Path) -> None:
        """Write an image as a file that docker load takes."""
        with (
            self._explain_errors("save"),
            explain_disk_errors(target),
            atomic_write(target) as stream,
        ):
            for chunk in self.client.api.get_image(name):
                stream.write(chunk)

    @contextmanager
    def _explain_errors(self, what: str) -> Iterator[None]:
        """Turn what the SDK raises into a BuildError that names engine and errand."""
        from docker.errors import APIError, DockerException  # type: ignore[import-untyped]
        from requests import RequestException

        try:
            yield
        except APIError as error:
            raise BuildError(
                f"the engine at {self.address} refuses to {what}: {error.explanation}"
            ) from error
        except (DockerException, RequestException, ConnectionError) as error:
            raise BuildError(
                f"the engine at {self.address} went away during {what}: {error}",
                "start it and run up again, or use --builder direct",
            ) from error


def _follow_push(stream: Iterable[Mapping[str, Any]], tell: Tell) -> str:
    """Read a push to its end; its refusals come as messages, not as HTTP errors (Img-3)."""
    layers: dict[str, str] = {}
    digest = ""
    for message in stream:
        if "error" in message:
            raise BuildError(
                f"the registry refused the push: {str(message['error']).strip()}",
                _push_advice(message["error"]),
            )
        if "id" in message and message.get("status"):
            layers[message["id"]] = message["status"]
            progress = message.get("progressDetail") or {}
            if progress.get("total"):
                tell(
                    f"pushing {message['id']}: {progress['current'] / 1e6:.1f} of "
                    f"{progress['total'] / 1e6:.1f} MB"
                )
        digest = message.get("aux", {}).get("Digest", digest)
    if not digest:
        raise BuildError(
            "the push ended without a digest, so what was pushed is not known", "run up again"
        )
    there = sum("exists" in status for status in layers.values())
    pushed = sum(status.startswith(("Pushed", "Mounted")) for status in layers.values())
    tell(f"{pushed} layers pushed, {there} were there", lasting=True)
    return digest


def _push_advice(error: str) -> str:
    if any(
        word in error.lower() for word in ("expired", "denied", "unauthorized", "no basic auth")
    ):
        return (
            "the ECR token was refused: it lasts twelve hours; run up again with credentials "
            "that may push"
        )
    return "run up again: what was pushed is not pushed again"


def find_engine() -> Engine | None:
    """Return the first engine that answers: DOCKER_HOST's, the docker context's, the usual sockets,
    Podman's.
    """
    import docker  # type: ignore[import-untyped]
    from docker.errors import DockerException
    from requests import RequestException

    for where, options in _endpoints():
        if not _listens(where):
            continue
        try:
            client = docker.DockerClient(timeout=_PING_S, **options)
            client.ping()
            client.close()
            return Engine(docker.DockerClient(timeout=_BUILD_S, **options), where)
        except (DockerException, RequestException, OSError):
            # the next may answer; who wants this one alone is told by the caller that none does
            continue
    return None


def _listens(where: str) -> bool:
    """Tell whether somebody is behind a socket in the file system; the SDK would leave its own end
    open if nobody is.
    """
    if not where.startswith("unix://"):
        return True
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_PING_S)
        try:
            probe.connect(where.removeprefix("unix://"))
        except OSError:
            return False
    return True


def _endpoints() -> Iterator[tuple[str, dict[str, Any]]]:
    from docker.context import ContextAPI  # type: ignore[import-untyped]
    from docker.errors import DockerException
    from docker.utils import kwargs_from_env  # type: ignore[import-untyped]

    if os.environ.get("DOCKER_HOST"):  # named by the user, so no other is tried
        yield os.environ["DOCKER_HOST"], kwargs_from_env()
        return
    try:
        context = ContextAPI.get_current_context()
    except (DockerException, OSError, ValueError):
        context = None  # a broken configuration of docker's is docker's to report
    if context is not None and context.Host:
        yield context.Host, {"base_url": context.Host, "tls": context.TLSConfig or False}
    home, run = Path.home(), os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}")
    for path in ("/var/run/docker.sock", home / ".docker/run/docker.sock", f"{run}/docker.sock"):
        yield f"unix://{path}", {"base_url": f"unix://{path}"}
    for path in (f"{run}/podman/podman.sock", "/run/podman/podman.sock"):
        yield f"unix://{path}", {"base_url": f"unix://{path}"}
