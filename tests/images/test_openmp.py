"""libgomp.so.1: found out from the modules, linked in the layer, and installed by a line."""

from __future__ import annotations

import struct
import tarfile
from pathlib import Path

import pytest

from deployer.errors import BuildError
from deployer.images import openmp
from deployer.images.build import check_system_libraries
from deployer.images.context import Context
from deployer.images.layers import files_below, write_layer
from deployer.images.recipe import interpret
from deployer.images.symbols import needed_libraries

PINNED = "public.ecr.aws/lambda/python:{}@sha256:" + "0" * 64
HASHED = "scikit_learn.libs/libgomp-a34b3233.so.1.0.0"


def module(needed: str, leftover: str = "") -> bytes:
    """Return an ELF file that needs a library; another name is left among its strings."""
    strings = f"\0{needed}\0{leftover}\0".encode()
    dynamic = struct.pack("<qQqQqQ", 14, 0, 1, 1, 0, 0)  # DT_SONAME, DT_NEEDED, DT_NULL
    section = struct.Struct("<IIQQQQIIQQ")
    places = 64, 64 + len(strings), 64 + len(strings) + len(dynamic)
    rows = [
        (0,) * 10,
        (0, 3, 2, 0, places[0], len(strings), 0, 0, 1, 0),  # SHT_STRTAB
        (0, 6, 2, 0, places[1], len(dynamic), 1, 0, 8, 16),  # SHT_DYNAMIC
    ]
    head = b"\x7fELF\x02\x01".ljust(40, b"\0") + struct.pack("<Q", places[2]) + bytes(10)
    head += struct.pack("<HHH", 64, len(rows), 0)
    return head + strings + dynamic + b"".join(section.pack(*row) for row in rows)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """An image's packages: scikit-learn with its copy, which auditwheel has renamed."""
    site = tmp_path / "var" / "task"
    for name, content in (
        (HASHED, module("libc.so.6", "libgomp.so.1")),
        ("sklearn/tree.so", module("libgomp-a34b3233.so.1.0.0", "libgomp.so.1")),
    ):
        (site / name).parent.mkdir(parents=True)
        (site / name).write_bytes(content)
    return site


def test_the_libraries_that_a_module_needs_are_those_that_the_loader_reads() -> None:
    assert list(needed_libraries(module("libgomp.so.1", "libz.so"))) == [b"libgomp.so.1"]
    assert list(needed_libraries(b"no module")) == []


def test_packages_that_bring_their_own_need_no_link(tmp_path: Path, site: Path) -> None:
    """auditwheel leaves the old name among the strings."""
    assert not openmp.link(tmp_path, "/var/task", "/var/task")
    assert not (site / "lib").exists()


@pytest.mark.parametrize("place", ["/var/task", "/opt/python"])
def test_a_package_that_needs_the_library_gets_a_link_in_lambdas_folder(
    tmp_path: Path, site: Path, place: str
) -> None:
    """The link's folder is in LD_LIBRARY_PATH, wherever the packages are."""
    folder = tmp_path / place.lstrip("/")
    if folder != site:
        folder.parent.mkdir(parents=True)
        site.rename(folder)
    (folder / "lightgbm.so").write_bytes(module("libgomp.so.1"))
    assert openmp.link(tmp_path, place, "/var/task")
    link = tmp_path / "var" / "task" / "lib" / "libgomp.so.1"
    assert link.is_symlink() and link.resolve() == (folder / HASHED).resolve()
    assert not openmp.link(tmp_path, place, "/var/task")  # there is one
    with (tmp_path / "layer").open("wb") as stream:
        write_layer(files_below(tmp_path / "var"), stream)
    with tarfile.open(tmp_path / "layer") as layer:
        entry = layer.getmember("task/lib/libgomp.so.1")
    assert entry.issym() and not Path(entry.linkname).is_absolute()


@pytest.mark.parametrize(
    ("line", "understood"),
    [
        ("RUN dnf install -y libgomp", True),
        ("RUN  yum install -y  libgomp && yum clean all", True),
        ("RUN microdnf install -y libgomp", True),
        ("RUN dnf install -y libgomp gcc", False),
        ("RUN dnf install -y libgomp && rm -r /x", False),
    ],
)
def test_the_line_that_installs_it_is_understood_without_an_engine(
    folder: Path, line: str, understood: bool
) -> None:
    (folder / "Dockerfile").write_text(f'FROM x\n{line}\nCOPY . .\nCMD ["a"]\n')
    context = Context(folder, "x", "x86_64", "3.12")
    if understood:
        assert interpret(context, {}, "/var/task").command == ("a",)
    else:
        with pytest.raises(BuildError, match="RUN is understood for pip install -r alone"):
            interpret(context, {}, "/var/task")


@pytest.mark.parametrize(("python", "program"), [("3.11", "yum"), ("3.12", "dnf")])
def test_an_engine_is_not_asked_for_an_image_that_lacks_it(
    folder: Path, python: str, program: str
) -> None:
    (folder / "requirements.txt").write_text("numpy==2\nLightGBM==4.7.0\n")
    dockerfile = folder / "Dockerfile"
    text = 'FROM x\nCOPY . .\nRUN pip install -r requirements.txt\nCMD ["a"]\n'
    dockerfile.write_text(text)
    context = Context(folder, PINNED.format(python), "x86_64", python)
    with pytest.raises(BuildError, match=r"line 2: LightGBM==4.7.0 needs the library") as caught:
        check_system_libraries(context)
    line = f"RUN {program} install -y libgomp"
    assert f"add the line {line} to {dockerfile}" in caught.value.advice
    dockerfile.write_text(text.replace("COPY", f"{line}\nCOPY"))
    check_system_libraries(Context(folder, PINNED.format(python), "x86_64", python))
    dockerfile.write_text(text)
    check_system_libraries(Context(folder, "debian:12", "x86_64", python))  # it may have one
