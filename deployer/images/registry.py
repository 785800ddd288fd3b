"""A client of container registries: it reads manifests and blobs over the Distribution protocol.

Content is compared with its digest before it is used, and cached by digest. Credentials are those
of `docker login`, proxies those of the environment (HTTPS_PROXY, NO_PROXY).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any

from deployer.errors import BuildError
from deployer.images.cache import cached

INDEX_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
IMAGE_TYPES = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
)
PLATFORM = {"x86_64": "amd64", "arm64": "arm64"}
_DOCKER_HUB = "registry-1.docker.io"
_LOOPBACK = re.compile(r"(localhost|127\.[0-9.]+|\[::1\])(:[0-9]+)?")
_CHUNK = 1 << 20
_ATTEMPTS = 4


@dataclass(frozen=True)
class Reference:
    """A parsed image name, such as python:3.12, which is library/python at docker.io."""

    host: str
    repository: str
    tag: str
    digest: str | None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Parse an image name; raise BuildError if it is none."""
        name, _, digest = text.partition("@")
        path, colon, tag = name.rpartition(":")
        if not colon or "/" in tag:
            path, tag = name, ""
        first, slash, rest = path.partition("/")
        if slash and ("." in first or ":" in first or first == "localhost"):
            host, repository = first, rest
        else:
            host, repository = "docker.io", path if slash else f"library/{path}"
        valid = re.fullmatch(r"[a-z0-9]+([._/-]+[a-z0-9]+)*", repository) and re.fullmatch(
            r"[\w.-]{0,128}", tag
        )
        if not valid or (digest and not re.fullmatch(r"sha256:[0-9a-f]{64}", digest)):
            raise BuildError(
                f"{text!r} is no image reference", "for example public.ecr.aws/lambda/python:3.12"
            )
        return cls(host, repository, tag or ("" if digest else "latest"), digest or None)

    @property
    def version(self) -> str:
        """The digest, or else the tag."""
        return self.digest or self.tag


@dataclass(frozen=True)
class Manifest:
    """A parsed manifest, and the digest of the bytes that the registry sent."""

    content: dict[str, Any]
    media_type: str
    digest: str


class Registry:
    """A client of the registry that holds one image."""

    def __init__(self, reference: str) -> None:
        self.reference = Reference.parse(reference)
        host = self.reference.host
        self._auth_host = "https://index.docker.io/v1/" if host == "docker.io" else host
        # Like Docker: a registry on loopback needs no TLS.
        scheme = "http" if _LOOPBACK.fullmatch(host) else "https"
        server = _DOCKER_HUB if host == "docker.io" else host
        self._url = f"{scheme}://{server}/v2/{self.reference.repository}"

    @cached_property
    def _session(self) -> Any:
        import requests
        from requests.adapters import HTTPAdapter
        from urllib3.util import Retry

        session = requests.Session()
        retry = Retry(
            total=_ATTEMPTS, backoff_factor=0.3, status_forcelist=(429, 500, 502, 503, 504)
        )
        retry.respect_retry_after_header = True
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(max_retries=retry))
        return session

    def resolve(self) -> str:
        """Return the digest of the reference, asking the registry for that of a tag."""
        return self.reference.digest or self._fetch_manifest(self.reference.tag).digest

    def image_manifest(self, architecture: str) -> Manifest:
        """Return the manifest of the image for an architecture; raise BuildError if there is none.

        Of an image that is not an index, the manifest is returned without comparing.
        """
        manifest = self.manifest(self.reference.version)
        if manifest.media_type not in INDEX_TYPES:
            return manifest
        wanted = f"linux/{PLATFORM[architecture]}"
        digests: dict[str, str] = {}
        for entry in manifest.content["manifests"]:
            platform = entry.get("platform", {})
            name = f"{platform.get('os')}/{platform.get('architecture')}"
            digests.setdefault(name, entry["digest"])
        if wanted in digests:
            return self.manifest(digests[wanted])
        raise BuildError(
            f"{self._name} has no image for {wanted}; it has {', '.join(sorted(digests))}",
            "choose another base, or another architecture",
        )

    def manifest(self, version: str) -> Manifest:
        """Return the manifest of a tag, or that of a digest, which is cached."""
        if not version.startswith("sha256:"):
            return self._fetch_manifest(version)

        def write(stream: IO[bytes]) -> None:
            manifest = self._fetch_manifest(version)
            stream.write(json.dumps([manifest.media_type, manifest.content]).encode())

        media_type, content = json.loads(
            cached(f"manifests/{version[7:]}.json", write).read_bytes()
        )
        return Manifest(content, media_type, version)

    def blob(
        self, digest: str, size: int, progress: Callable[[int], None] = lambda received: None
    ) -> Path:
        """Return a file with a blob's content, downloaded if it is not cached.

        Args:
            size: bytes.
            progress: called with the number of bytes received so far.
        """

        def write(stream: IO[bytes]) -> None:
            self._download(digest, size, stream, progress)

        return cached(f"blobs/{digest[7:]}", write, size)

    def _download(
        self, digest: str, size: int, stream: IO[bytes], progress: Callable[[int], None]
    ) -> None:
        """Download a blob; resume after a broken connection; raise BuildError for wrong bytes."""
        sha = hashlib.sha256()
        done = failures = 0
        while done < size or size == 0:
            answer = self._get(f"/blobs/{digest}", {"Range": f"bytes={done}-"} if done else {})
            if done and answer.status_code != 206:  # the registry cannot resume
                stream.seek(0)
                stream.truncate()
                sha, done = hashlib.sha256(), 0
            before = done
            try:
                for chunk in answer.iter_content(_CHUNK):
                    stream.write(chunk)
                    sha.update(chunk)
                    done += len(chunk)
                    progress(done)
            except self._network_errors as error:
                failures = failures + 1 if done == before else 1
                if failures == _ATTEMPTS:
                    raise self._registry_error(
                        f"broke off after {done} of {size} bytes of {digest}"
                    ) from error
                continue
            break
        if f"sha256:{sha.hexdigest()}" != digest:
            raise BuildError(
                f"{self._name}: the registry sent other bytes than {digest[:19]}... names "
                f"({done} of {size} bytes)",
                "the download is discarded; run the command again, and check proxies between this "
                "machine and the registry",
            )

    def _fetch_manifest(self, version: str) -> Manifest:
        answer = self._get(
            f"/manifests/{version}", {"Accept": ", ".join((*INDEX_TYPES, *IMAGE_TYPES))}
        )
        digest = f"sha256:{hashlib.sha256(answer.content).hexdigest()}"
        if version.startswith("sha256:") and digest != version:
            raise BuildError(f"{self._name}: the registry sent {digest} when asked for {version}")
        try:
            content = answer.json()
            media_type = content.get("mediaType") or answer.headers.get("Content-Type", "")
        except (ValueError, AttributeError) as error:
            raise BuildError(f"{self._name}: the registry's manifest is no JSON object") from error
        if media_type not in (*INDEX_TYPES, *IMAGE_TYPES):
            raise BuildError(
                f"{self._name}: a manifest of type {media_type} is not understood",
                "use --builder docker",
            )
        return Manifest(content, media_type, digest)

    def _get(self, path: str, headers: dict[str, str]) -> Any:
        """Request a path of the image's repository, authenticating if the registry demands it."""
        answer = self._request(self._url + path, headers=headers, stream="/blobs/" in path)
        if answer.status_code == 401:
            self._session.headers["Authorization"] = self._authorization(
                answer.headers.get("WWW-Authenticate", "")
            )
            answer = self._request(self._url + path, headers=headers, stream="/blobs/" in path)
        if answer.status_code in (401, 403):
            raise BuildError(
                f"{self._name}: the registry refuses access (HTTP {answer.status_code})",
                f"for a private base, sign in with docker login {self.reference.host}",
            )
        if answer.status_code == 404:
            raise BuildError(
                f"{self._name} does not exist in its registry",
                "check base_image, and base.lock beside the Dockerfile",
            )
        if not answer.ok:
            raise self._registry_error(f"answered HTTP {answer.status_code}")
        return answer

    def _authorization(self, challenge: str) -> str:
        """Return the Authorization header for a 401's WWW-Authenticate header."""
        from requests.auth import _basic_auth_str
        from requests.utils import parse_dict_header

        scheme, _, rest = challenge.partition(" ")
        user, password = self._credentials()
        if scheme.lower() != "bearer":
            return str(_basic_auth_str(user, password))
        details = parse_dict_header(rest)
        parameters = {name: details[name] for name in ("service", "scope") if name in details}
        auth = (user, password) if user else None
        answer = self._request(str(details.get("realm")), params=parameters, auth=auth)
        token = answer.json() if answer.ok else {}
        if not (token.get("token") or token.get("access_token")):
            raise BuildError(
                f"{self._name}: no access token from {details.get('realm')} (HTTP "
                f"{answer.status_code})",
                f"for a private base, sign in with docker login {self.reference.host}",
            )
        return f"Bearer {token.get('token') or token['access_token']}"

    def _credentials(self) -> tuple[str, str]:
        """Return user and password of `docker login`, or two empty strings."""
        import docker.auth  # type: ignore[import-untyped]
        from docker.errors import DockerException  # type: ignore[import-untyped]

        try:
            login = docker.auth.load_config().resolve_authconfig(self._auth_host) or {}
        except DockerException as error:
            raise BuildError(
                f"the credentials of {self.reference.host} cannot be read: {error}"
            ) from error
        # Credential helpers answer in capitals.
        user = login.get("username") or login.get("Username") or ""
        return user, login.get("password") or login.get("Password") or ""

    def _request(self, url: str, **parameters: Any) -> Any:
        try:
            return self._session.get(url, timeout=(10, 60), **parameters)
        except self._network_errors as error:
            raise self._registry_error(f"does not answer: {_innermost(error)}") from error

    @cached_property
    def _network_errors(self) -> tuple[type[Exception], ...]:
        from requests import RequestException
        from urllib3.exceptions import HTTPError

        return (RequestException, HTTPError)

    def _registry_error(self, problem: str) -> BuildError:
        return BuildError(
            f"{self._name}: the registry {problem}",
            "check the network and the proxy (HTTPS_PROXY), then run the command again",
        )

    @property
    def _name(self) -> str:
        reference = self.reference
        tag = f":{reference.tag}" if reference.tag else ""
        return f"base image {reference.host}/{reference.repository}{tag}"


def _innermost(error: BaseException) -> str:
    """Return the message of the system's error, which urllib3 wraps, which requests wraps."""
    reason = getattr(error, "reason", None) or (error.args[0] if error.args else None)
    if isinstance(reason, BaseException) and reason is not error:
        return _innermost(reason)
    return str(error)
