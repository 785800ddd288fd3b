"""Packages in an image: unneeded files are deleted, bytecode is reproducible."""

from __future__ import annotations

import importlib.util
import marshal
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from deployer.aws.waiting import tell_nobody
from deployer.errors import BuildError
from deployer.images.context import Context
from deployer.images.packages import byte_compile, package_layer
from deployer.images.recipe import interpret
from deployer.images.slim import slim

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.mark.parametrize(
    "name, stays",
    [
        ("numpy/core.py", True),
        ("numpy/core.so", True),
        ("numpy/data.npz", True),
        ("numpy/testing/util.py", True),
        ("numpy/tests/_natype.py", True),
        ("numpy/tests/__init__.py", True),
        ("numpy/tests/test_core.py", False),
        ("numpy/tests/conftest.py", False),
        ("numpy/tests/data/big.npz", False),
        ("numpy/core.pyi", False),
        ("numpy/core.pyx", False),
        ("numpy/include/core.h", False),
        ("numpy/__pycache__/core.cpython-311.pyc", False),
        ("bin/f2py", False),
        ("share/jupyter/widget.js", False),
        ("etc/jupyter/widget.json", False),
        ("numpy/share/keep", True),
        ("numpy/conftest.py", False),
        ("numpy/_core/_multiarray_tests.cpython-311-x86_64-linux-gnu.so", False),
        ("numpy/_core/_simd.cpython-311-x86_64-linux-gnu.so", False),
        ("scipy/ndimage/_ctest.cpython-311-x86_64-linux-gnu.so", False),
        ("scipy/io/_test_fortran.cpython-311-x86_64-linux-gnu.so", False),
        ("scipy/sparse/csgraph/_shortest_path.cpython-311-x86_64-linux-gnu.so", True),
        ("sklearn/datasets/data/iris.csv", False),
        ("sklearn/datasets/descr/iris.rst", False),
        ("sklearn/datasets/data/__init__.py", True),
        ("sklearn/datasets/_base.py", True),
        ("numpy/bin/keep", True),
        ("numpy-1.dist-info/METADATA", True),
        ("numpy-1.dist-info/LICENSE.txt", True),
        ("numpy-1.dist-info/RECORD", False),
        ("numpy-1.dist-info/direct_url.json", False),
    ],
)
def test_files_that_no_prediction_reads_are_deleted(tmp_path, name, stays):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("12345")
    assert slim(tmp_path) == (0 if stays else 5)
    assert path.exists() == stays
    assert stays or not list(tmp_path.iterdir())  # no empty folders are left


def test_bytecode_is_unchecked_and_names_the_file_in_the_image(tmp_path):
    (tmp_path / "module.py").write_text("def fail():\n    raise ValueError('here')\n")
    byte_compile(tmp_path, "/var/task", PYTHON)
    content = Path(importlib.util.cache_from_source(str(tmp_path / "module.py"))).read_bytes()
    assert content[:4] == importlib.util.MAGIC_NUMBER and content[4:8] == b"\x01\0\0\0"
    assert marshal.loads(content[16:]).co_filename == "/var/task/module.py"
    (tmp_path / "module.py").write_text("changed = 1\n")  # not looked at
    program = (
        "import module\ntry:\n    module.fail()\nexcept ValueError as error:\n    print(error)"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True
        ).stdout
        == "here\n"
    )


def test_bytecode_depends_on_neither_folder_nor_time(tmp_path):
    compiled = []
    for number in "12":
        folder = tmp_path / number
        folder.mkdir()
        for module in range(120):  # enough for several processes at once
            (folder / f"m{module}.py").write_text(
                f"name = 'value {module}'\ndef f{module}(a, *, b=None):\n    return a, b, name\n"
            )
            os.utime(folder / f"m{module}.py", (int(number), int(number)))
        byte_compile(folder, "/var/task", PYTHON)
        compiled.append({path.name: path.read_bytes() for path in folder.rglob("*.pyc")})
    assert compiled[0] == compiled[1] and len(compiled[0]) == 120


def test_files_that_are_no_python_are_not_compiled(tmp_path):
    (tmp_path / "template.py").write_text("def {name}():\n")
    (tmp_path / "fine.py").write_text("x = 1\n")
    byte_compile(tmp_path, "/var/task", PYTHON)
    assert [path.name.partition(".")[0] for path in tmp_path.rglob("*.pyc")] == ["fine"]


def test_a_compiler_that_fails_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "python3.99").symlink_to("/bin/false")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildError, match="byte-compiling for Python 3.99 failed"):
        byte_compile(tmp_path, "/var/task", "3.99")


def test_packages_are_in_the_target_folder(folder, tmp_path, monkeypatch):
    """With a wheel made here, and no index."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    with zipfile.ZipFile(wheels / "tiny-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny.py", "x = 1\n")
        info = "tiny-1.0.dist-info"
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (folder / "requirements.txt").write_text("tiny==1.0\n")
    (folder / "Dockerfile").write_text(
        "FROM x\nCOPY . .\nRUN pip install -r requirements.txt -t /opt/python\n"
        'CMD ["predict.handler"]\n'
    )
    context = Context(folder, "x", "x86_64", PYTHON)
    layer = package_layer(context, interpret(context, {}, "/var/task"), tell_nobody)
    assert layer is not None
    with layer.blob.open() as content, tarfile.open(fileobj=content, mode="r:gz") as archive:
        modules = [name for name in archive.getnames() if "dist-info" not in name and "." in name]
        (module,) = [name for name in modules if name.endswith(".pyc")]
        bytecode = archive.extractfile(module)
        assert bytecode is not None
        code = marshal.loads(bytecode.read()[16:])
    assert modules == [module, "opt/python/tiny.py"]
    assert code.co_filename == "/opt/python/tiny.py"
