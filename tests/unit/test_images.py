"""Images: what identifies one, what its parts hold, and what is sent to a registry."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.errors import AwsError, BuildError
from deployer.images.build import builder
from deployer.images.context import NO_BASE, Context
from deployer.images.dockerfile import parse_dockerfile
from deployer.images.layers import (
    CONFIG_TYPE,
    LAYER_TYPE,
    MANIFEST_TYPE,
    Blob,
    BuiltImage,
    build_without_base,
    digest_of,
)
from deployer.images.registry import push

DOCKERFILE = 'FROM scratch\nENV B=2 A=1\nCOPY . .\nCMD ["predict.handler"]\n'
HERE = Path("Dockerfile")


def make_folder(folder):
    (folder / "package").mkdir(parents=True)
    (folder / "Dockerfile").write_text(DOCKERFILE)
    (folder / "predict.py").write_text("def handler(event, context): ...\n")
    (folder / "package" / "__init__.py").write_text("")
    return folder


@pytest.fixture
def folder(tmp_path):
    return make_folder(tmp_path / "source")


@pytest.fixture
def context(folder):
    return Context(folder, NO_BASE, "x86_64")


def test_the_tag_is_a_legal_one_and_the_same_each_time(context):
    assert context.tag == context.tag
    assert len(context.tag) == 40
    int(context.tag, 16)


def test_the_files_are_named_with_slashes_in_order(context, folder):
    assert list(context.files()) == [
        ("Dockerfile", folder / "Dockerfile"),
        ("package/__init__.py", folder / "package" / "__init__.py"),
        ("predict.py", folder / "predict.py"),
    ]


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "predict.py").write_text("def handler(event, context): pass\n"),
        lambda folder: (folder / "Dockerfile").write_text(DOCKERFILE + "\n"),
        lambda folder: (folder / "predict.py").rename(folder / "answer.py"),
        lambda folder: (folder / "predict.py").rename(folder / "package" / "predict.py"),
        lambda folder: (folder / "predict.py").chmod(0o755),
        lambda folder: (folder / "predict.py").unlink(),
        lambda folder: (folder / "new.txt").touch(),
        lambda folder: (folder / "package" / ".hidden").touch(),
    ],
    ids=["content", "Dockerfile", "name", "folder", "run bit", "removed", "added", "added and hidden"],
)
def test_the_tag_changes_with_all_that_goes_into_the_image(context, folder, change):
    before = context.tag
    change(folder)
    assert context.tag != before


def test_the_tag_changes_with_base_and_architecture(folder):
    contexts = [Context(folder, base, arch) for base in (NO_BASE, "python:3.11") for arch in ("x86_64", "arm64")]
    assert len({context.tag for context in contexts}) == 4


def touch_everything(folder):
    for path in folder.rglob("*"):
        os.utime(path, (1, 1))


def add(name, content="x"):
    def change(folder):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)

    return change


@pytest.mark.parametrize(
    "change",
    [
        touch_everything,
        add("__pycache__/predict.cpython-311.pyc"),
        add("package/__pycache__/notes.txt"),
        add("predict.pyc"),
        add(".git/HEAD"),
        add(".pytest_cache/README.md"),
        add("forest/Dockerfile"),
        lambda folder: (folder / "package" / "__init__.py").chmod(0o600),
        lambda folder: (folder / "empty").mkdir(),
    ],
    ids=["times", "pycache", "nested", "pyc", "git", "pytest", "another function's folder", "who may read", "no files"],
)
def test_the_tag_does_not_change_with_what_does_not_go_into_the_image(context, folder, change):
    before = context.tag
    change(folder)
    assert context.tag == before


def test_the_tag_does_not_depend_on_where_the_folder_lies(context, tmp_path):
    assert Context(make_folder(tmp_path / "elsewhere"), NO_BASE, "x86_64").tag == context.tag


def test_all_of_another_functions_folder_stays_out(context, folder):
    before = list(context.files())
    add("forest/Dockerfile")(folder)
    add("forest/deep/predict.py")(folder)
    assert list(context.files()) == before


def test_two_files_are_not_taken_for_one_that_holds_both(tmp_path):
    """What separates names from contents must not be forgeable by contents."""
    tags = []
    for number, files in enumerate([{"a": "b", "c": "d"}, {"a": "bc\0False\0001\0d"}]):
        folder = tmp_path / str(number)
        for name, content in {"Dockerfile": DOCKERFILE, **files}.items():
            add(name, content)(folder)
        tags.append(Context(folder, NO_BASE, "x86_64").tag)
    assert tags[0] != tags[1]


def test_a_folder_without_a_dockerfile_is_no_context(tmp_path):
    with pytest.raises(BuildError, match=f"{tmp_path} has no Dockerfile\na function's folder needs one"):
        _ = Context(tmp_path, NO_BASE, "x86_64").tag


@pytest.mark.parametrize(
    "text, command, environment",
    [
        ('CMD ["predict.handler"]', ("predict.handler",), {}),
        ('cmd ["predict.handler"]', ("predict.handler",), {}),
        ('CMD ["a"]\nCMD ["b", "c"]', ("b", "c"), {}),
        ('# CMD ["no"]\n\n  # ENV X=1\nCMD ["a"]\n# end', ("a",), {}),
        ('ENV A=1 B=2\nENV B=3\nCMD ["a"]', ("a",), {"A": "1", "B": "3"}),
        ('ENV A="one two" B=\'x=y\' C=\nCMD ["a"]', ("a",), {"A": "one two", "B": "x=y", "C": ""}),
        ('ENV A=1 \\\n    B=2 \\\n    # between\n\n    C=3\nCMD ["a"]', ("a",), {"A": "1", "B": "2", "C": "3"}),
        ('CMD [ \\\n "a" \\\n ]', ("a",), {}),
        ('FROM x\nRUN echo ENV A=1\nCOPY . .\nENTRYPOINT ["x"]\nCMD ["a"]', ("a",), {}),
    ],
    ids=["plain", "lower case", "last wins", "comments", "ENV", "quotes", "continued", "continued CMD", "others"],
)
def test_a_dockerfile_says_command_and_environment(text, command, environment):
    found = parse_dockerfile(text, HERE)
    assert (found.command, found.environment) == (command, environment)


@pytest.mark.parametrize(
    "text, message",
    [
        ("FROM x\nCMD predict.handler", "Dockerfile line 2: CMD predict.handler: must be a JSON array of words"),
        ("CMD []", "Dockerfile line 1: CMD []: must be a JSON array of words"),
        ("CMD [1]", "Dockerfile line 1: CMD [1]: must be a JSON array of words"),
        ("CMD ['a']", "Dockerfile line 1: CMD ['a']: Expecting value"),
        ("#\n\nENV A 1", "Dockerfile line 3: ENV A 1: must be NAME=value pairs"),
        ("ENV", "Dockerfile line 1: ENV : must be NAME=value pairs"),
        ('ENV A="1', 'Dockerfile line 1: ENV A="1: No closing quotation'),
        ("FROM x\nENV A=1 \\\n  B", "Dockerfile line 2: ENV A=1"),
        ("FROM x", "Dockerfile has no CMD"),
        ("", "Dockerfile has no CMD"),
    ],
)
def test_what_is_not_understood_is_told_with_its_line(text, message):
    with pytest.raises(BuildError) as caught:
        parse_dockerfile(text, HERE)
    assert caught.value.message.startswith(message)


def test_the_shipped_dockerfile_is_understood():
    root = Path(__file__).resolve().parent.parent.parent
    found = Context(root / "lambda_src", NO_BASE, "x86_64").dockerfile()
    assert found.command == ("predict.handler",)
    assert found.environment == {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def test_the_same_files_make_the_same_image_at_any_time_and_place(folder, tmp_path):
    other = shutil.copytree(folder, tmp_path / "copy")
    touch_everything(other)
    add("__pycache__/x.pyc")(other)
    first, second = (build_without_base(Context(each, NO_BASE, "x86_64")) for each in (folder, other))
    assert first == second
    assert first.digest == second.digest


def test_different_files_make_different_images(context, folder):
    before = build_without_base(context).digest
    add("predict.py", "other")(folder)
    assert build_without_base(context).digest != before


def test_the_layer_holds_every_file_under_the_task_root_readable_by_all(context, folder):
    """Img-15: Lambda reads as an unprivileged user."""
    (folder / "predict.py").chmod(0o600)
    add("run.sh")(folder)
    (folder / "run.sh").chmod(0o700)
    layer = build_without_base(context).blobs[0]
    with tarfile.open(fileobj=io.BytesIO(layer.content), mode="r:gz") as archive:
        modes = {entry.name: entry.mode for entry in archive}
        owners = {(entry.uid, entry.gid, entry.mtime) for entry in archive}
        content = archive.extractfile("var/task/predict.py").read()
    assert modes == {
        "var/task/Dockerfile": 0o644,
        "var/task/package/__init__.py": 0o644,
        "var/task/predict.py": 0o644,
        "var/task/run.sh": 0o755,
    }
    assert owners == {(0, 0, 0)}
    assert content == (folder / "predict.py").read_bytes()


@pytest.mark.parametrize("architecture, platform", [("x86_64", "amd64"), ("arm64", "arm64")])
def test_manifest_and_config_describe_the_parts(folder, architecture, platform):
    image = build_without_base(Context(folder, NO_BASE, architecture))
    layer, config = image.blobs
    assert json.loads(image.manifest) == {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": {"mediaType": CONFIG_TYPE, "size": len(config.content), "digest": digest_of(config.content)},
        "layers": [{"mediaType": LAYER_TYPE, "size": len(layer.content), "digest": digest_of(layer.content)}],
    }
    assert json.loads(config.content) == {
        "architecture": platform,
        "os": "linux",
        "config": {"Cmd": ["predict.handler"], "Env": ["A=1", "B=2"], "WorkingDir": "/var/task"},
        "rootfs": {"type": "layers", "diff_ids": [digest_of(gzip.decompress(layer.content))]},
    }


def test_a_digest_is_the_sha256_of_the_bytes():
    empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert digest_of(b"") == Blob(b"", LAYER_TYPE).digest == BuiltImage("", ()).digest == empty


class Registry:
    """ECR in memory, behind the one method of Aws that a push uses."""

    def __init__(self, part_size=4, stores=None, errors=None):
        self.part_size = part_size
        self.stores = stores
        self.errors = errors or {}
        self.layers, self.uploads, self.images = {}, {}, {}
        self.operations = []

    def call(self, service, operation, **parameters):
        assert (service, parameters.pop("repositoryName")) == ("ecr", "housing-dev")
        self.operations.append(operation)
        if operation in self.errors:
            raise AwsError(self.errors[operation], "as the test wants")
        return getattr(self, operation)(**parameters)

    def batch_check_layer_availability(self, layerDigests):
        known = {digest: "AVAILABLE" if digest in self.layers else "UNAVAILABLE" for digest in layerDigests}
        return {"layers": [{"layerDigest": digest, "layerAvailability": each} for digest, each in known.items()]}

    def initiate_layer_upload(self):
        self.uploads[f"upload {len(self.uploads)}"] = []
        return {"uploadId": list(self.uploads)[-1], "partSize": self.part_size}

    def upload_layer_part(self, uploadId, partFirstByte, partLastByte, layerPartBlob):
        assert partFirstByte == sum(map(len, self.uploads[uploadId]))
        assert partLastByte - partFirstByte + 1 == len(layerPartBlob) > 0
        self.uploads[uploadId].append(layerPartBlob)

    def complete_layer_upload(self, uploadId, layerDigests):
        content = b"".join(self.uploads[uploadId])
        assert layerDigests == [digest_of(content)]
        self.layers[layerDigests[0]] = content

    def put_image(self, imageManifest, imageManifestMediaType, imageTag):
        assert imageManifestMediaType == MANIFEST_TYPE
        self.images[imageTag] = imageManifest
        return {"image": {"imageId": {"imageDigest": self.stores or digest_of(imageManifest.encode())}}}


IMAGE = BuiltImage('{"a": 1}', (Blob(b"0123456789", LAYER_TYPE), Blob(b"config", CONFIG_TYPE)))


def test_a_push_uploads_in_parts_and_puts_the_manifest_last():
    registry = Registry(part_size=4)
    assert push(registry, "housing-dev", "t", IMAGE) == IMAGE.digest
    assert list(registry.uploads.values()) == [[b"0123", b"4567", b"89"], [b"conf", b"ig"]]
    assert registry.images == {"t": IMAGE.manifest}
    assert registry.layers.keys() == {blob.digest for blob in IMAGE.blobs}
    assert registry.operations[0] == "batch_check_layer_availability"
    assert registry.operations.index("put_image") == len(registry.operations) - 1


def test_a_push_uploads_only_what_is_missing():
    registry = Registry()
    registry.layers[IMAGE.blobs[0].digest] = b"there"
    push(registry, "housing-dev", "t", IMAGE)
    assert list(registry.uploads.values()) == [[b"conf", b"ig"]]


def test_a_push_of_known_layers_uploads_nothing():
    registry = Registry()
    push(registry, "housing-dev", "t", IMAGE)
    registry.operations.clear()
    assert push(registry, "housing-dev", "u", IMAGE) == IMAGE.digest
    assert registry.operations == ["batch_check_layer_availability", "put_image"]


def test_an_image_that_another_run_pushed_meanwhile_is_taken():
    """Img-10."""
    registry = Registry(errors={"put_image": "ImageAlreadyExistsException"})
    assert push(registry, "housing-dev", "t", IMAGE) == IMAGE.digest


def test_a_layer_that_another_run_uploaded_meanwhile_is_taken():
    registry = Registry(errors={"complete_layer_upload": "LayerAlreadyExistsException"})
    assert push(registry, "housing-dev", "t", IMAGE) == IMAGE.digest


@pytest.mark.parametrize(
    "operation, code",
    [
        ("put_image", "ImageTagAlreadyExistsException"),
        ("put_image", "LayersNotFoundException"),
        ("complete_layer_upload", "InvalidLayerException"),
        ("upload_layer_part", "InvalidLayerPartException"),
        ("batch_check_layer_availability", "RepositoryNotFoundException"),
    ],
)
def test_any_other_refusal_ends_the_push_before_an_image_exists(operation, code):
    registry = Registry(errors={operation: code})
    with pytest.raises(AwsError) as caught:
        push(registry, "housing-dev", "t", IMAGE)
    assert caught.value.code == code
    assert registry.images == {}


def test_an_image_stored_under_another_digest_is_refused():
    registry = Registry(stores="sha256:other")
    with pytest.raises(BuildError, match=f"ECR stored housing-dev:t as sha256:other, but .* as {IMAGE.digest}"):
        push(registry, "housing-dev", "t", IMAGE)


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=3), st.integers(1, 50))
def test_whatever_the_part_size_the_registry_gets_the_same_bytes(contents, part_size):
    registry = Registry(part_size)
    push(registry, "housing-dev", "t", BuiltImage("{}", tuple(Blob(each, LAYER_TYPE) for each in contents)))
    assert registry.layers == {digest_of(each): each for each in contents}
    assert all(len(part) == part_size for parts in registry.uploads.values() for part in parts[:-1])


def test_a_builder_pushes_the_folders_image_under_the_tag(context):
    registry = Registry(part_size=1000)
    digest = builder(context, "housing-dev", context.tag)(registry, print)
    assert digest == build_without_base(context).digest
    assert registry.images.keys() == {context.tag}


def test_a_base_that_cannot_be_built_on_is_refused_before_any_call(folder):
    registry = Registry()
    with pytest.raises(BuildError, match="cannot build on python:3.11\npush an image of source/ to housing-dev:t"):
        builder(Context(folder, "python:3.11", "x86_64"), "housing-dev", "t")(registry, print)
    assert registry.operations == []
