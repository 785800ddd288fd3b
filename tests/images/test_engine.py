"""Finding an engine, choosing a builder, and following a push, without an engine."""

from __future__ import annotations

import hashlib
import json
import socket
import sys
from typing import Any

import pytest

from deployer.aws.waiting import tell_nobody
from deployer.errors import BuildError
from deployer.images import engine as engines
from deployer.images.build import build_and_push, choose_engine
from deployer.images.context import Context
from deployer.images.ecr import check_image
from deployer.images.engine import _follow_push, find_engine
from deployer.images.packages import package_layer
from deployer.images.recipe import interpret
from deployer.images.registry import IMAGE_TYPES, INDEX_TYPES
from tests.support.stub import Quiet, serve

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture(autouse=True)
def own_configuration(tmp_path, monkeypatch):
    """Use neither this machine's engine nor the user's cache."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))


@pytest.fixture
def on_a_base(folder):
    return Context(folder, f"127.0.0.1:9/python@sha256:{'0' * 64}", "x86_64", PYTHON)


class Engine(Quiet):
    """An engine that answers a ping."""

    def handle_any(self):
        self.body()
        answer = json.dumps({"ApiVersion": "1.41"}) if self.path.endswith("/version") else "OK"
        self.answer(200, answer.encode(), {"Content-Type": "application/json"})


def test_docker_host_is_the_only_endpoint(monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    assert [address for address, _ in engines._endpoints()] == ["tcp://127.0.0.1:9"]
    assert find_engine() is None


def test_an_engine_at_docker_host_is_found(monkeypatch):
    with serve(Engine) as url:
        monkeypatch.setenv("DOCKER_HOST", url.replace("http", "tcp"))
        engine = find_engine()
        assert engine is not None and engine.address == url.replace("http", "tcp")
        engine.client.close()


def test_the_docker_context_comes_before_the_usual_sockets_and_podmans_after(tmp_path):
    config = tmp_path / "docker"
    meta = config / "contexts" / "meta" / hashlib.sha256(b"mine").hexdigest()
    meta.mkdir(parents=True)
    (config / "config.json").write_text(json.dumps({"currentContext": "mine"}))
    endpoint = {"docker": {"Host": "tcp://127.0.0.1:9", "SkipTLSVerify": False}}
    (meta / "meta.json").write_text(
        json.dumps({"Name": "mine", "Metadata": {}, "Endpoints": endpoint})
    )
    addresses = [address for address, _ in engines._endpoints()]
    assert addresses[:2] == ["tcp://127.0.0.1:9", "unix:///var/run/docker.sock"]
    assert addresses[-2:] == [
        f"unix://{tmp_path}/run/podman/podman.sock",
        "unix:///run/podman/podman.sock",
    ]


def test_auto_without_an_engine_is_direct_and_says_so(on_a_base, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    assert choose_engine("auto", on_a_base) == (
        None,
        "builder: direct, because no Docker engine answers",
    )


def test_a_chosen_engine_must_answer(on_a_base, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    with pytest.raises(BuildError, match="no Docker engine answers") as caught:
        choose_engine("docker", on_a_base)
    assert "--builder direct" in caught.value.advice


@pytest.mark.parametrize(
    ("status", "text", "refused"),
    [
        (404, "No such image: a:b", False),
        (500, "unrecognized image ID sha256:ffc1", False),
        (409, "conflict: the image is being used", True),
    ],
)
def test_an_image_that_another_client_removed_is_untagged(status, text, refused, monkeypatch):
    class Removing(Engine):
        def handle_any(self):
            if self.command == "DELETE":
                content = json.dumps({"message": text}).encode()
                self.answer(status, content, {"Content-Type": "application/json"})
            else:
                super().handle_any()

    with serve(Removing) as url:
        monkeypatch.setenv("DOCKER_HOST", url.replace("http", "tcp"))
        engine = find_engine()
        assert engine is not None
        if refused:
            with pytest.raises(BuildError, match="refuses to untag the image: conflict"):
                engine.untag("a:b")
        else:
            engine.untag("a:b")
        engine.close()


def test_direct_and_an_image_without_a_base_look_for_no_engine(on_a_base, context, monkeypatch):
    requests = []

    class Recorder(Engine):
        def handle_any(self):
            requests.append(self.path)
            super().handle_any()

    with serve(Recorder) as url:
        monkeypatch.setenv("DOCKER_HOST", url.replace("http", "tcp"))
        assert choose_engine("direct", on_a_base)[0] is None
        assert choose_engine("auto", context)[0] is None
        assert requests == []
        engine, _ = choose_engine("auto", on_a_base)
        assert engine is not None
        engine.close()
        assert requests


def test_files_that_change_during_the_build_are_refused(context):
    """Their tag is a hash of the old content."""

    def change(context, tell):
        (context.folder / "predict.py").write_text("# changed meanwhile\n")

    with pytest.raises(BuildError, match="changed while the image was built"):
        build_and_push(context, Ecr(None), "housing-dev", "direct", tell_nobody, build=change)


def test_a_package_without_a_wheel_for_the_target_is_named(folder, monkeypatch):
    """pip has no index here. The message names the target."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    (folder / "requirements.txt").write_text("numpy==2.2.6\n")
    (folder / "Dockerfile").write_text(
        "FROM x\nCOPY . .\nRUN pip install -r requirements.txt\nCMD ['a']\n".replace("'", '"')
    )
    context = Context(folder, "x", "arm64", "3.11")
    with pytest.raises(BuildError) as caught:
        package_layer(
            context, interpret(context, {}, "/var/task"), lambda text, lasting=False: None
        )
    assert caught.value.message.startswith(
        "there is no wheel of numpy==2.2.6 for Python 3.11, arm64 and glibc 2.26"
    )
    assert "train with Python 3.12 or newer" in caught.value.advice


def test_a_requirement_that_is_not_pinned_is_refused(folder):
    (folder / "requirements.txt").write_text("# all\nnumpy>=2\n")
    (folder / "Dockerfile").write_text(
        'FROM x\nCOPY . .\nRUN pip install -r requirements.txt\nCMD ["a"]\n'
    )
    context = Context(folder, "x", "x86_64", "3.12")
    with pytest.raises(BuildError, match="requirements.txt line 2: numpy>=2: is not pinned"):
        package_layer(
            context, interpret(context, {}, "/var/task"), lambda text, lasting=False: None
        )


@pytest.mark.parametrize(
    "error, advice",
    [
        (
            "denied: Your authorization token has expired. Reauthenticate and try again.",
            "lasts twelve hours",
        ),
        ("Your authorization token has expired.", "lasts twelve hours"),
        ("no basic auth credentials", "lasts twelve hours"),
        ("received unexpected HTTP status: 500", "layers that were pushed are skipped"),
    ],
)
def test_a_refusal_in_the_stream_of_a_push_is_an_error(error, advice):
    """Img-3."""
    stream = [
        {"status": "Preparing", "id": "a"},
        {"errorDetail": {"message": error}, "error": error},
        {"status": "late"},
    ]
    with pytest.raises(BuildError, match="the registry refused the push: ") as caught:
        _follow_push(stream, tell_nobody)
    assert error in caught.value.message and advice in caught.value.advice


def test_a_push_gives_the_registrys_digest_and_counts_layers():
    messages = []
    stream: list[dict[str, Any]] = [
        {
            "status": "Pushing",
            "id": "a",
            "progressDetail": {"current": 1_000_000, "total": 2_000_000},
        },
        {"status": "Pushed", "id": "a", "progressDetail": {}},
        {"status": "Layer already exists", "id": "b"},
        {"status": "t: digest: sha256:1 size: 2"},
        {"aux": {"Tag": "t", "Digest": "sha256:1", "Size": 2}},
    ]
    assert _follow_push(stream, lambda text, lasting=False: messages.append(text)) == "sha256:1"
    assert messages == ["pushing a: 1.0 of 2.0 MB", "1 layers pushed, 1 were there"]


def test_a_push_without_a_digest_is_an_error():
    with pytest.raises(BuildError, match="ended without a digest"):
        _follow_push([{"status": "Pushed", "id": "a"}], tell_nobody)


class Ecr:
    """ECR with one image, which can be read."""

    def __init__(self, manifest, url=""):
        self.manifest, self.url = manifest, url

    def call(self, service, operation, **parameters):
        if operation == "batch_get_image":
            assert set(parameters["acceptedMediaTypes"]) == {*IMAGE_TYPES, *INDEX_TYPES}
            return {
                "images": [{"imageManifest": json.dumps(self.manifest)}] if self.manifest else []
            }
        assert operation == "get_download_url_for_layer"
        return {"downloadUrl": self.url}


@pytest.mark.parametrize("media_type", INDEX_TYPES)
def test_an_index_is_refused_with_the_reason(media_type):
    """Img-4: ECR takes it, Lambda does not."""
    with pytest.raises(
        BuildError, match=f"is a {media_type[:20]}.*an index.*which Lambda refuses"
    ) as caught:
        check_image(Ecr({"mediaType": media_type, "manifests": []}), "r", "sha256:0", "x86_64")
    assert "--builder direct" in caught.value.advice


def test_an_unknown_media_type_is_refused():
    with pytest.raises(BuildError, match="is a text/plain, which Lambda refuses"):
        check_image(Ecr({"mediaType": "text/plain"}), "r", "sha256:0", "x86_64")


def test_a_missing_image_is_an_error():
    with pytest.raises(BuildError, match="ECR has no image sha256:0 in r"):
        check_image(Ecr(None), "r", "sha256:0", "x86_64")


@pytest.mark.parametrize(
    "pushed, wanted, accepted",
    [("amd64", "x86_64", True), ("arm64", "arm64", True), ("amd64", "arm64", False)],
)
def test_the_architecture_is_that_of_the_functions(pushed, wanted, accepted):
    """Img-9."""

    class Config(Quiet):
        def handle_any(self):
            self.answer(200, json.dumps({"os": "linux", "architecture": pushed}).encode(), {})

    with serve(Config) as url:
        ecr = Ecr({"mediaType": IMAGE_TYPES[0], "config": {"digest": "sha256:1"}}, url)
        if accepted:
            check_image(ecr, "r", "sha256:0", wanted)
            return
        with pytest.raises(
            BuildError, match=f"is for linux/{pushed}, but the functions are for linux/arm64"
        ):
            check_image(ecr, "r", "sha256:0", wanted)


def test_a_socket_that_nobody_listens_on_is_skipped(tmp_path, monkeypatch):
    """A killed engine leaves one."""
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(tmp_path / "engine.sock"))
    for where in (tmp_path / "engine.sock", tmp_path / "nothing.sock"):
        monkeypatch.setenv("DOCKER_HOST", f"unix://{where}")
        assert find_engine() is None
