"""Symbol tables go, whatever the loader reads stays, and what is no module of Lambda's kind is left
alone.
"""

from __future__ import annotations

import ctypes
import re
import shutil
import struct
import sys
import zlib
from pathlib import Path

import pytest
import scipy

from deployer.images.symbols import drop_symbols

MODULES = sorted(Path(scipy.__file__).parent.rglob("*.so"))


def tables(content):
    """The kinds of a file's sections, and their number."""
    start, (size, count) = (
        struct.unpack_from("<Q", content, 40)[0],
        struct.unpack_from("<HH", content, 58),
    )
    return [
        struct.unpack_from("<I", content, start + number * size + 4)[0] for number in range(count)
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="wheels of another system hold no ELF files")
def test_a_real_module_loses_its_symbols_and_can_be_loaded(tmp_path):
    source = next(path for path in MODULES if 2 in tables(path.read_bytes()))
    module = Path(shutil.copy2(source, tmp_path))
    before = module.read_bytes()
    dropped = drop_symbols(tmp_path)
    after = module.read_bytes()
    assert len(after) == len(before) and dropped > 1000
    assert sum(one != other for one, other in zip(before, after, strict=True)) <= dropped + 8
    assert 2 not in tables(after) and 11 in tables(after)  # SHT_SYMTAB is gone, SHT_DYNSYM is not
    assert len(zlib.compress(after)) < len(zlib.compress(before))
    assert hasattr(ctypes.PyDLL(str(module)), f"PyInit_{module.name.partition('.')[0]}")
    assert drop_symbols(tmp_path) == 0
    assert module.read_bytes() == after


@pytest.mark.parametrize("name", ["a.so", "libx.so.5.0.0"])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no module",
        b"\x7fELF\x01\x01" + bytes(60),
        b"\x7fELF\x02\x02" + bytes(60),
        b"\x7fELF\x02\x01",
        b"\x7fELF\x02\x01" + bytes(58),
        b"\x7fELF\x02\x01" + bytes(52) + b"\x40\0\x05\0\x01\0",
    ],
)
def test_other_files_than_64_bit_little_endian_elf_are_unchanged(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert drop_symbols(tmp_path) == 0
    assert (tmp_path / name).read_bytes() == content


def test_libraries_with_a_version_after_their_suffix_are_seen(tmp_path):
    section = struct.Struct("<IIQQQQIIQQ")
    strings = b"\0.symtab\0.strtab\0.shstrtab\0.comment\0.note\0"
    body = b"S" * 24 + b"T" * 8 + strings + b"C" * 16 + b"N" * 16
    offset, headers = 64, 64 + len(body)
    rows = [(0,) * 10]
    for name, kind, size, link in (
        (1, 2, 24, 2),
        (9, 3, 8, 0),
        (17, 3, len(strings), 0),
        (27, 1, 16, 0),
        (36, 1, 16, 0),
    ):
        rows.append((name, kind, 0, 0, offset, size, link, 0, 1, 0))
        offset += size
    content = (
        b"\x7fELF\x02\x01".ljust(40, b"\0")
        + struct.pack("<Q", headers)
        + bytes(10)
        + struct.pack("<HHH", 64, 6, 3)
    )
    content += body + b"".join(section.pack(*row) for row in rows)
    (tmp_path / "libx.so.5.0.0").write_bytes(content)
    assert drop_symbols(tmp_path) == 24 + 8 + 16
    content = (tmp_path / "libx.so.5.0.0").read_bytes()
    assert not re.search(rb"S{5}|T{5}|C{5}", content)
    assert strings in content and b"N" * 16 in content
    assert tables(content) == [0, 0, 0, 3, 0, 1]
