"""All functions of the server: the code of their images, and one environment per version.

As on Lambda, an environment starts with the first invocation, stays warm, answers one request at a
time, is killed when a request takes too long, and is replaced after that. Unlike on Lambda, a
version has one environment only, and requests queue up.
"""

from __future__ import annotations

import io
import sys
import tarfile
import threading
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

from deployer.local.environment import Environment, WriteLog
from deployer.local.invocation import Response, Version, error_response
from deployer.local.process import Credentials


class _Queue:
    """Answers the requests to one version in turn."""

    def __init__(
        self,
        version: Version,
        client: list[str],
        access: Callable[[Version], Mapping[str, str]],
        write_log: WriteLog,
    ) -> None:
        self.version = version
        self._start: Callable[[], Environment] = lambda: Environment(
            version, client, access(version), write_log
        )
        self._turn = threading.Lock()
        self._environment: Environment | None = None

    def invoke(self, payload: bytes, request_id: str) -> Response:
        """Answer a request; if the process ended while it was idle, a second one gets it."""
        with self._turn:
            return (
                self._try(payload, request_id)
                or self._try(payload, request_id)
                or error_response("Runtime.ExitError", "the process ended twice")
            )

    def _try(self, payload: bytes, request_id: str) -> Response | None:
        environment = self._environment
        if environment is None or not environment.is_alive():
            self.close()
            environment = self._environment = self._start()
        return environment.wait_until_ready(request_id) or environment.invoke(payload, request_id)

    def close(self) -> None:
        environment, self._environment = self._environment, None
        if environment is not None:
            environment.close()


class Functions:
    """The environments of all versions.

    Args:
        code: the folder to unpack images into.
        credentials: sign the functions' own calls.
        client: see `Environment`; by default `runtime_client()`.
        sign: returns the credentials of a function's own, or none; see `enforcement`.
    """

    def __init__(
        self,
        code: Path,
        endpoint: str,
        write_log: WriteLog,
        credentials: Credentials,
        client: list[str] | None = None,
        sign: Callable[[Version], Mapping[str, str]] = lambda version: {},
    ) -> None:
        self._code = code
        self._sign = sign
        self._access = {
            "AWS_ACCESS_KEY_ID": credentials.access_key,
            "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
            "AWS_ENDPOINT_URL": endpoint,
        }
        self._write_log = write_log
        self._client = client or runtime_client()
        self._queues: dict[str, _Queue] = {}
        self._lock = threading.Lock()

    def invoke(self, version: Version, payload: bytes, request_id: str = "") -> Response:
        """Answer a request; without an id it gets a new one."""
        request_id = request_id or str(uuid.uuid4())
        with self._lock:
            queue = self._queues.get(version.identity)
            if queue is None:
                queue = _Queue(version, self._client, self._access_of, self._write_log)
                self._queues[version.identity] = queue
        return queue.invoke(payload, request_id)

    def _access_of(self, version: Version) -> Mapping[str, str]:
        """Return the variables by which a function's code reaches AWS."""
        return {**self._access, **self._sign(version)}

    def keep(self, is_wanted: Callable[[Version], bool]) -> None:
        """End the environments of versions that are not wanted any more."""
        with self._lock:
            unwanted = [key for key, queue in self._queues.items() if not is_wanted(queue.version)]
            closing = [self._queues.pop(key) for key in unwanted]
        for queue in closing:
            queue.close()

    def close(self) -> None:
        self.keep(lambda version: False)

    def unpack(self, digest: str, layers: list[bytes]) -> Path:
        """Return the folder with an image's /var/task, which is unpacked once.

        `layers` are gzipped tars, lowest first.
        """
        target = self._code / digest.replace(":", "-")
        with self._lock:
            if not target.is_dir():
                aside = target.with_name(f"{target.name}-{uuid.uuid4().hex}")
                for layer in layers:
                    _extract(layer, aside)
                task = aside / "var" / "task"
                task.mkdir(parents=True, exist_ok=True)
                aside.rename(target)
        return target / "var" / "task"


def _extract(layer: bytes, target: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(layer), mode="r:gz") as archive:
        # Releases of Python 3.10 and 3.11 before mid-2023 lack it.
        if hasattr(tarfile, "data_filter"):
            archive.extractall(target, filter="data")
        else:
            archive.extractall(target)


def runtime_client() -> list[str]:
    """Return the command of AWS's own runtime client, or of `runtime.py` where it does not run.

    AWS's wheels are for Linux only.
    """
    if sys.platform == "linux":
        try:
            import runtime_client  # noqa: F401  (the native part of awslambdaric)

            return [sys.executable, "-m", "awslambdaric"]
        except ImportError:
            pass
    return standard_library_client()


def standard_library_client() -> list[str]:
    return [sys.executable, str(Path(__file__).with_name("runtime.py"))]
