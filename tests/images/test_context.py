"""The files of a build context, and the image tag that hashes them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from docker.utils.build import exclude_paths

from deployer.errors import BuildError
from deployer.images.context import NO_BASE, Context
from tests.support.contexts import DOCKERFILE, add, make_folder, touch_everything


def test_the_tag_is_a_legal_one_and_the_same_each_time(context):
    assert context.image_tag == replace(context).image_tag
    assert len(context.image_tag) == 40
    int(context.image_tag, 16)


def test_the_files_are_named_with_slashes_in_order(context, folder):
    assert list(context.files.items()) == [
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
    ids=[
        "content",
        "Dockerfile",
        "name",
        "folder",
        "run bit",
        "removed",
        "added",
        "added and hidden",
    ],
)
def test_the_tag_changes_with_every_input(context, folder, change):
    before = replace(context).image_tag
    change(folder)
    assert replace(context).image_tag != before


def test_the_tag_changes_with_base_architecture_and_python(folder):
    targets = [
        (base, arch, python)
        for base in (NO_BASE, "b")
        for arch in ("x86_64", "arm64")
        for python in ("3.11", "3.12")
    ]
    assert len({Context(folder, *target).image_tag for target in targets}) == 8


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
        add("base.lock"),
        lambda folder: (folder / "empty").mkdir(),
    ],
    ids=[
        "times",
        "pycache",
        "nested",
        "pyc",
        "git",
        "pytest",
        "another function's folder",
        "who may read",
        "lock",
        "no files",
    ],
)
def test_the_tag_ignores_what_the_image_does_not_contain(context, folder, change):
    before = replace(context).image_tag
    change(folder)
    assert replace(context).image_tag == before


def test_the_tag_does_not_depend_on_where_the_folder_lies(context, tmp_path):
    assert (
        Context(make_folder(tmp_path / "elsewhere"), NO_BASE, "x86_64").image_tag
        == context.image_tag
    )


def test_all_of_another_functions_folder_stays_out(context, folder):
    before = list(replace(context).files)
    add("forest/Dockerfile")(folder)
    add("forest/deep/predict.py")(folder)
    assert list(replace(context).files) == before


def test_two_files_are_not_taken_for_one_that_holds_both(tmp_path):
    """The content of one file must not be able to stand for the name and content of another."""
    tags = []
    for number, files in enumerate([{"a": "b", "c": "d"}, {"a": "bc\0False\0001\0d"}]):
        folder = tmp_path / str(number)
        for name, content in {"Dockerfile": DOCKERFILE, **files}.items():
            add(name, content)(folder)
        tags.append(Context(folder, NO_BASE, "x86_64").image_tag)
    assert tags[0] != tags[1]


def test_a_folder_without_a_dockerfile_is_no_context(tmp_path):
    with pytest.raises(
        BuildError, match=f"{tmp_path} has no Dockerfile\na function's folder needs one"
    ):
        _ = Context(tmp_path, NO_BASE, "x86_64").image_tag


def test_dockerignore_is_honoured(context, folder):
    """The patterns are Docker's own: exceptions, **, comments."""
    add(".dockerignore", "# notes\n*.md\n**/secret\npackage/*\n!package/kept.py\n")(folder)
    for name in (
        "README.md",
        "deep/secret",
        "package/lost.py",
        "package/kept.py",
        "deep/README.md",
    ):
        add(name)(folder)
    assert list(replace(context).files) == [
        ".dockerignore",
        "Dockerfile",
        "deep/README.md",
        "package/kept.py",
        "predict.py",
    ]


@pytest.mark.parametrize(
    "lines",
    ["verify.py", "package", "Dockerfile", "notes\nverify.py", ".hidden", "package/verify.py"],
)
def test_dockerignore_leaves_out_what_docker_leaves_out(context, folder, lines):
    """Plain names are matched without importing docker."""
    add(".dockerignore", lines)(folder)
    for name in ("verify.py", "verify.pyx", "notes/a", "package/verify.py", "deep/package/b"):
        add(name)(folder)
    add(".hidden")(folder)
    kept = exclude_paths(str(folder), lines.splitlines())
    assert set(replace(context).files) == {name for name in kept if (folder / name).is_file()}


def test_an_ignored_file_does_not_change_the_tag(context, folder):
    add(".dockerignore", "*.md")(folder)
    before = replace(context).image_tag
    add("README.md")(folder)
    assert replace(context).image_tag == before


@pytest.mark.parametrize("target", ["predict.py", "nothing", "package"])
def test_a_link_is_refused_unless_it_is_ignored(context, folder, target):
    (folder / "link").symlink_to(target)
    with pytest.raises(
        BuildError, match="link is no ordinary file\nreplace it by a copy, or name link in"
    ):
        _ = replace(context).files
    add(".dockerignore", "link")(folder)
    assert "link" not in replace(context).files
