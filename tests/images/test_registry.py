"""The registries' client, against a registry in this process: tokens, platforms, digests, cuts."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from deployer.errors import BuildError
from deployer.files import atomic_write
from deployer.images import registry
from deployer.images.base import read_base
from deployer.images.cache import cache_folder, cached, explain_disk_errors
from deployer.images.context import Context
from deployer.images.direct import build_image
from deployer.images.pins import pin_base
from deployer.images.registry import Reference, Registry
from tests.support.stub import Quiet, serve

IMAGE = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setattr(registry, "_ATTEMPTS", 2)


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class Store:
    """The content of a registry, and how it answers.

    `token`: demand this Bearer token. `user`: demand user:password for a token. `basic`: demand
    user:password. `cut_at`: break the connection after this many bytes. `status`: answer this only.
    `ranges`: honour the Range header.
    """

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, tuple[str, bytes]] = {}
        self.requests: list[tuple[str, str]] = []
        self.token = self.user = self.basic = ""
        self.cut_at = 0
        self.status = 0
        self.ranges = True

    def blob(self, content: bytes) -> dict[str, Any]:
        self.blobs[digest_of(content)] = content
        return {"digest": digest_of(content), "size": len(content)}

    def manifest(self, content: Any, media_type: str, *tags: str) -> str:
        text = json.dumps(content).encode()
        for version in (digest_of(text), *tags):
            self.manifests[version] = (media_type, text)
        return digest_of(text)

    def image(
        self,
        *tags: str,
        architecture: str = "amd64",
        layer_type: str = LAYER,
        layer: bytes = b"layer",
        settings: dict[str, Any] | None = None,
    ) -> str:
        config = {
            "architecture": architecture,
            "os": "linux",
            "config": {"Env": ["A=1"], **(settings or {})},
            "rootfs": {"diff_ids": []},
        }
        described = {"mediaType": layer_type, **self.blob(gzip.compress(layer, mtime=0))}
        parts = {"config": self.blob(json.dumps(config).encode()), "layers": [described]}
        return self.manifest({"schemaVersion": 2, "mediaType": IMAGE, **parts}, IMAGE, *tags)

    def handler(self) -> type[Quiet]:
        return type("Handler", (StoreHandler,), {"store": self})


class StoreHandler(Quiet):
    """Answers from a store."""

    store: Store

    def handle_any(self) -> None:
        url = urlsplit(self.path)
        self.store.requests.append((url.path, self.headers.get("Authorization", "")))
        if self.store.status:
            self.answer(self.store.status, b"", {})
        elif url.path == "/token":
            self.give_token(parse_qs(url.query))
        elif not self.allowed():
            self.challenge()
        else:
            kind, _, version = url.path.removeprefix("/v2/a/b/").partition("/")
            self.find(kind, version)

    def challenge(self) -> None:
        details = (
            f'realm="http://{self.headers["Host"]}/token",service="s",scope="repository:a/b:pull"'
        )
        header = 'Basic realm="x"' if self.store.basic else f"Bearer {details}"
        self.answer(401, b"", {"WWW-Authenticate": header})

    def find(self, kind: str, version: str) -> None:
        if kind == "manifests" and version in self.store.manifests:
            media_type, text = self.store.manifests[version]
            self.answer(200, text, {"Content-Type": media_type})
        elif kind == "blobs" and version in self.store.blobs:
            self.give(self.store.blobs[version])
        else:
            self.answer(404, b"", {})

    def allowed(self) -> bool:
        wanted = (
            f"Basic {encoded(self.store.basic)}"
            if self.store.basic
            else f"Bearer {self.store.token}"
        )
        return (
            not (self.store.token or self.store.basic)
            or self.headers.get("Authorization") == wanted
        )

    def give_token(self, query: dict[str, list[str]]) -> None:
        assert query == {"service": ["s"], "scope": ["repository:a/b:pull"]}
        if (
            self.store.user
            and self.headers.get("Authorization") != f"Basic {encoded(self.store.user)}"
        ):
            self.answer(401, b"{}", {})
        else:
            self.answer(200, json.dumps({"token": self.store.token}).encode(), {})

    def give(self, content: bytes) -> None:
        first = int((self.headers.get("Range") or "bytes=0-")[6:-1]) if self.store.ranges else 0
        self.send_response(206 if first else 200)
        self.send_header("Content-Length", str(len(content) - first))
        self.end_headers()
        end = len(content)
        if self.store.cut_at and self.store.cut_at > first:
            end, self.close_connection = self.store.cut_at, True
            self.store.cut_at += self.store.cut_at
        self.wfile.write(content[first:end])


def encoded(user: str) -> str:
    return base64.b64encode(user.encode()).decode()


@pytest.fixture
def store() -> Store:
    return Store()


@contextmanager
def served(store: Store) -> Iterator[str]:
    with serve(store.handler()) as url:
        yield url.removeprefix("http://") + "/a/b"


def silent(text: str, *, lasting: bool = False) -> None:
    """Discard messages."""


@pytest.mark.parametrize(
    "text, host, repository, tag, digest",
    [
        ("python", "docker.io", "library/python", "latest", None),
        ("python:3.12", "docker.io", "library/python", "3.12", None),
        ("me/python:3.12", "docker.io", "me/python", "3.12", None),
        ("public.ecr.aws/lambda/python:3.12", "public.ecr.aws", "lambda/python", "3.12", None),
        ("localhost:5000/a", "localhost:5000", "a", "latest", None),
        (f"r.io/a/b@sha256:{'0' * 64}", "r.io", "a/b", "", f"sha256:{'0' * 64}"),
        (f"r.io/a/b:1@sha256:{'0' * 64}", "r.io", "a/b", "1", f"sha256:{'0' * 64}"),
    ],
)
def test_a_reference_is_parsed_like_docker(text, host, repository, tag, digest):
    assert Reference.parse(text) == Reference(host, repository, tag, digest)


@pytest.mark.parametrize(
    "text", ["", "Python", "a b", "r.io/a@sha256:1", "r.io/../x", "http://r.io/a"]
)
def test_an_invalid_reference_is_refused(text):
    with pytest.raises(BuildError, match="is no image reference"):
        Reference.parse(text)


@pytest.mark.parametrize("architecture, platform", [("x86_64", "amd64"), ("arm64", "arm64")])
def test_an_index_is_resolved_to_the_platform(store, architecture, platform):
    """Attestations, which an index also holds, are for no platform at all."""
    wanted = {name: store.image(architecture=name) for name in ("amd64", "arm64")}
    entries = [
        {"digest": digest, "platform": {"os": "linux", "architecture": name}}
        for name, digest in wanted.items()
    ]
    entries.insert(
        0, {"digest": "sha256:0", "platform": {"os": "unknown", "architecture": "unknown"}}
    )
    index = store.manifest({"mediaType": INDEX, "manifests": entries}, INDEX, "3.12")
    with served(store) as name:
        assert Registry(f"{name}:3.12").resolve() == index
        assert Registry(f"{name}@{index}").image_manifest(architecture).digest == wanted[platform]
        base = read_base(f"{name}@{index}", architecture, silent)
    assert base.config["architecture"] == platform
    assert [layer.media_type for layer in base.layers] == [
        "application/vnd.docker.image.rootfs.diff.tar.gzip"
    ]


def test_a_missing_platform_is_named_with_the_present_ones(store):
    entry = {"digest": store.image(), "platform": {"os": "linux", "architecture": "amd64"}}
    store.manifest({"mediaType": INDEX, "manifests": [entry]}, INDEX, "1")
    with (
        served(store) as name,
        pytest.raises(BuildError, match="has no image for linux/arm64; it has linux/amd64"),
    ):
        Registry(f"{name}:1").image_manifest("arm64")


def test_metadata_of_the_dockerfile_adds_to_that_of_the_base(store, folder):
    """As Docker does: labels and ports are merged, the user is replaced."""
    settings = {"Labels": {"a": "1", "b": "1"}, "ExposedPorts": {"1/tcp": {}}, "User": "1"}
    digest = store.image(settings=settings)
    (folder / "Dockerfile").write_text(
        "FROM x\nLABEL b=2 c=3\nEXPOSE 2\nUSER 2\nMAINTAINER Jane\n"
        'COPY predict.py /opt/\nCMD ["predict.handler"]\n'
    )
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    with served(store) as name:
        image = build_image(Context(folder, f"{name}@{digest}", "x86_64", python))
    assert image.config.content is not None
    config = json.loads(image.config.content)
    assert config["author"] == "Jane"
    assert config["config"] == {
        "Cmd": ["predict.handler"],
        "Env": ["A=1"],
        "WorkingDir": "/",
        "Labels": {"a": "1", "b": "2", "c": "3"},
        "ExposedPorts": {"1/tcp": {}, "2/tcp": {}},
        "User": "2",
    }


def test_a_base_for_another_machine_is_refused(store):
    store.image("1", architecture="arm64")
    with (
        served(store) as name,
        pytest.raises(BuildError, match="is for arm64, but architecture is x86_64"),
    ):
        read_base(f"{name}:1", "x86_64", silent)


def test_a_layer_that_lambda_does_not_take_is_refused(store):
    store.image("1", layer_type="application/vnd.oci.image.layer.v1.tar+zstd")
    with (
        served(store) as name,
        pytest.raises(BuildError, match="layer 1 of base image .* is a .*zstd, which Lambda"),
    ):
        read_base(f"{name}:1", "x86_64", silent)


def test_a_token_is_fetched_once_and_used(store):
    store.token = "t0"
    digest = store.image("1")
    with served(store) as name:
        registry = Registry(f"{name}:1")
        assert registry.resolve() == digest
        registry.image_manifest("x86_64")
    assert [path for path, _ in store.requests].count("/token") == 1
    assert ("/v2/a/b/manifests/1", "Bearer t0") in store.requests


@pytest.mark.parametrize("kind", ["token", "basic"])
def test_a_private_registry_gets_the_credentials_of_docker_login(store, kind, tmp_path):
    store.token, store.user = ("t0", "me:secret") if kind == "token" else ("", "")
    store.basic = "me:secret" if kind == "basic" else ""
    digest = store.image("1")
    with served(store) as name:
        host = name.partition("/")[0]
        with pytest.raises(BuildError) as caught:
            Registry(f"{name}:1").resolve()
        assert f"docker login {host}" in caught.value.advice
        (tmp_path / "docker").mkdir()
        auths = {"auths": {host: {"auth": encoded("me:secret")}}}
        (tmp_path / "docker" / "config.json").write_text(json.dumps(auths))
        assert Registry(f"{name}:1").resolve() == digest


def test_a_blob_is_asked_for_once(store):
    described = store.blob(b"x" * 100)
    with served(store) as name:
        for _ in range(2):
            path = Registry(f"{name}:1").blob(described["digest"], 100)
            assert path.read_bytes() == b"x" * 100
    assert len(store.requests) == 1


def test_a_blob_that_lost_bytes_in_the_cache_is_fetched_again(store):
    described = store.blob(b"x" * 100)
    with served(store) as name:
        path = Registry(f"{name}:1").blob(described["digest"], 100)
        path.write_bytes(b"x" * 50)
        assert Registry(f"{name}:1").blob(described["digest"], 100).read_bytes() == b"x" * 100


@pytest.mark.parametrize("ranges", [True, False], ids=["resumed", "from the start"])
def test_a_broken_download_is_resumed(store, ranges):
    content = os.urandom(3_000_000)
    described = store.blob(content)
    store.cut_at, store.ranges = 2_000_000, ranges
    with served(store) as name:
        assert Registry(f"{name}:1").blob(described["digest"], len(content)).read_bytes() == content
    assert len(store.requests) == 2


def test_a_registry_that_goes_away_in_mid_blob_leaves_nothing_behind(store):
    """It sends half of a layer, and does not answer the request for the rest."""
    described = store.blob(b"x" * 1000)
    store.cut_at = 1000
    store.blobs[described["digest"]] = b"x" * 500
    Handler = store.handler()
    send = Handler.send_header
    Handler.send_header = lambda self, name, value: send(
        self, name, "1000" if name == "Content-Length" else value
    )
    with (
        serve(Handler) as url,
        pytest.raises(BuildError, match="the registry (broke off after|sent other bytes)"),
    ):
        Registry(f"{url.removeprefix('http://')}/a/b:1").blob(described["digest"], 1000)
    assert not [path for path in cache_folder().rglob("*") if path.is_file()]


def test_wrong_bytes_are_refused_and_not_kept(store):
    described = store.blob(b"right")
    store.blobs[described["digest"]] = b"wrong"
    with served(store) as name:
        with pytest.raises(BuildError, match="the registry sent other bytes than sha256:"):
            Registry(f"{name}:1").blob(described["digest"], 5)
        store.blobs[described["digest"]] = b"right"
        assert Registry(f"{name}:1").blob(described["digest"], 5).read_bytes() == b"right"


def test_a_manifest_of_another_digest_is_refused(store):
    digest = store.image()
    store.manifests[digest] = (IMAGE, b"{}")
    with (
        served(store) as name,
        pytest.raises(BuildError, match=f"sent sha256:.* when asked for {digest}"),
    ):
        Registry(f"{name}@{digest}").image_manifest("x86_64")


@pytest.mark.parametrize(
    "media_type, text, message",
    [
        (IMAGE, b"[", "no JSON object"),
        (IMAGE, b"[]", "no JSON object"),
        ("text/html", b"{}", "type text/html is not"),
    ],
)
def test_an_invalid_manifest_is_refused(store, media_type, text, message):
    store.manifests["1"] = (media_type, text)
    with served(store) as name, pytest.raises(BuildError, match=message):
        Registry(f"{name}:1").resolve()


@pytest.mark.parametrize(
    "status, message",
    [
        (403, "refuses access .HTTP 403"),
        (404, "does not exist"),
        (418, "answered HTTP 418"),
        (503, "503"),
    ],
)
def test_a_refusal_is_one_line(store, status, message):
    store.status = status
    with served(store) as name, pytest.raises(BuildError, match=message):
        Registry(f"{name}:1").resolve()


def test_a_registry_that_is_not_there_is_one_line():
    with pytest.raises(
        BuildError, match="base image 127.0.0.1:9/a/b:1: the registry does not answer: .*refused"
    ) as caught:
        Registry("127.0.0.1:9/a/b:1").resolve()
    assert "HTTPS_PROXY" in caught.value.advice


def test_a_base_is_pinned_once(store, tmp_path):
    lock = tmp_path / "lambda_src" / "base.lock"
    lock.parent.mkdir()
    first = store.image("1")
    messages = []
    with served(store) as name:
        reference = f"{name}:1"
        assert pin_base(reference, lock, write=False) == f"{reference}@{first}"
        assert not lock.exists()
        assert (
            pin_base(
                reference, lock, write=True, tell=lambda text, lasting=False: messages.append(text)
            )
            == f"{reference}@{first}"
        )
        assert json.loads(lock.read_text()) == {reference: first}
        store.image("1", layer=b"newer")
        store.requests.clear()
        assert pin_base(reference, lock, write=True) == f"{reference}@{first}"
    assert store.requests == []
    (line,) = messages
    assert line.startswith(f"pinned {reference} to {first[:19]}") and "commit" in line


@pytest.mark.parametrize("reference", ["scratch", f"r.io/a@sha256:{'0' * 64}"])
def test_a_pinned_reference_needs_no_request(reference, tmp_path):
    assert pin_base(reference, tmp_path / "base.lock", write=True) == reference
    assert not (tmp_path / "base.lock").exists()


@pytest.mark.parametrize("text", ["{", "[]", '{"a": 1}'])
def test_a_damaged_lock_is_refused(text, tmp_path):
    (tmp_path / "base.lock").write_text(text)
    with pytest.raises(BuildError, match=r"base.lock (line 1|must be a JSON object)"):
        pin_base("r.io/a:1", tmp_path / "base.lock", write=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a disk that is full")
def test_a_full_disk_is_one_line_and_leaves_no_half_file(tmp_path, monkeypatch):
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], check=True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))

    def write(stream: IO[bytes]) -> None:
        stream.write(b"x" * 1_000_000)

    try:
        with pytest.raises(BuildError, match=f"no room left on the disk of {folder}"):
            cached("blobs/large", write)
        assert not [path for path in folder.rglob("*") if path.is_file()]
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a disk that cannot be written")
def test_a_folder_that_cannot_be_written_is_named_and_only_the_cache_may_be_moved(
    tmp_path, monkeypatch
):
    """XDG_CACHE_HOME moves the cache, but not the folder of --output or base.lock."""
    folder = tmp_path / "fixed"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(folder)], check=True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    try:
        with pytest.raises(BuildError, match=f"{folder}/.* cannot be written: Read-only") as cache:
            cached("blob", lambda stream: None)
        with (
            pytest.raises(BuildError, match=f"{folder} cannot be written: Read-only") as output,
            explain_disk_errors(folder / "image.tar"),
            atomic_write(folder / "image.tar"),
        ):
            pass
    finally:
        subprocess.run(["umount", str(folder)], check=True)
    assert "XDG_CACHE_HOME" in cache.value.advice and "XDG_CACHE_HOME" not in output.value.advice
