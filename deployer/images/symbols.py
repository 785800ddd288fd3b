"""Compiled modules: the libraries that they need, and removing their symbol tables.

Debuggers read symbol tables, the loader does not. They are overwritten with zeros, which compress
to nothing. Nothing moves, unlike with strip, so libraries that auditwheel has rewritten stay
loadable, and no tool has to be installed. Handles 64-bit little-endian ELF, the format on both of
Lambda's architectures (System V ABI, chapter 4); other files are not changed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_ELF64_LITTLE = b"\x7fELF\x02\x01"
_HEADER_SIZE = 64
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SECTIONS_OFFSET = struct.Struct("<Q")  # e_shoff
_SECTIONS_SHAPE = struct.Struct("<HHH")  # e_shentsize, e_shnum, e_shstrndx
_SYMTAB, _PROGBITS, _NULL, _DYNAMIC = 2, 1, 0, 6
_ENTRY = struct.Struct("<qQ")  # d_tag, d_val
_NEEDED = 1  # DT_NEEDED
_LOADED = 2  # SHF_ALLOC


class _Section(NamedTuple):
    """A section header, with its fields in the file's order."""

    name: int
    kind: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    alignment: int
    entry_size: int


def drop_symbols(folder: Path) -> int:
    """Remove symbol tables from all compiled modules of a folder; return the number of bytes."""
    return sum(
        _drop(path)
        for path in sorted(folder.rglob("*"))
        if ".so" in path.suffixes and path.is_file()
    )


def needed_libraries(content: bytes) -> Iterator[bytes]:
    """Yield the names of the libraries that a compiled module needs."""
    _, sections, _ = _sections(content)
    for section in sections:
        if section.kind != _DYNAMIC or section.link >= len(sections):
            continue
        strings = sections[section.link].offset
        table = content[section.offset : section.offset + section.size]
        for tag, value in _ENTRY.iter_unpack(table[: len(table) // _ENTRY.size * _ENTRY.size]):
            if tag == _NEEDED:
                yield content[strings + value : content.index(b"\0", strings + value)]


def _sections(content: bytes | bytearray) -> tuple[list[int], list[_Section], int]:
    """Return the places of the section headers, the headers, and the number of the names' one."""
    if not content.startswith(_ELF64_LITTLE) or len(content) < _HEADER_SIZE:
        return [], [], 0
    (start,) = _SECTIONS_OFFSET.unpack_from(content, 40)
    size, count, names = _SECTIONS_SHAPE.unpack_from(content, 58)
    if size != _SECTION.size or names >= count or start + size * count > len(content):
        return [], [], 0
    headers = [start + number * size for number in range(count)]
    return headers, [_Section(*_SECTION.unpack_from(content, header)) for header in headers], names


def _drop(path: Path) -> int:
    content = bytearray(path.read_bytes())
    headers, sections, names = _sections(content)
    dropped = 0
    for number in sorted(set(_unneeded(content, sections, names)) - {names}):
        section = sections[number]
        if section.flags & _LOADED or section.offset + section.size > len(content):
            continue
        content[section.offset : section.offset + section.size] = bytes(section.size)
        struct.pack_into("<I", content, headers[number] + 4, _NULL)
        dropped += section.size
    if dropped:
        path.write_bytes(content)
    return dropped


def _unneeded(content: bytearray, sections: list[_Section], names: int) -> Iterator[int]:
    """Yield the numbers of the sections with symbols, symbols' names and debug information.

    Args:
        names: the number of the section with the sections' names.
    """
    for number, section in enumerate(sections):
        if section.kind == _SYMTAB and section.link < len(sections):
            yield from (number, section.link)
        elif section.kind == _PROGBITS and not section.flags & _LOADED:
            begin = sections[names].offset + section.name
            if content.startswith((b".debug", b".comment"), begin):
                yield number
