"""Taking the symbol tables out of compiled modules: a debugger reads them, the loader does not.

They are overwritten with zeros where they lie, not cut out as strip does: nothing moves, so
libraries that auditwheel has rewritten stay loadable, no tool of the machine is needed, and zeros
compress to nothing. For 64-bit little-endian ELF, which both of Lambda's architectures are (System
V ABI, chapter 4); anything else is left alone.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_ELF64_LITTLE = b"\x7fELF\x02\x01"
_HEADER_SIZE = 64
_SECTION = struct.Struct("<IIQQQQIIQQ")
_PLACE_OF_SECTIONS = struct.Struct("<Q")  # e_shoff
_SHAPE_OF_SECTIONS = struct.Struct("<HHH")  # e_shentsize, e_shnum, e_shstrndx
_SYMTAB, _PROGBITS, _NULL = 2, 1, 0
_LOADED = 2  # SHF_ALLOC


class _Section(NamedTuple):
    """A section header, as it lies in the file."""

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
    """Take the symbol tables out of every compiled module of a folder; return how many bytes they
    were.
    """
    return sum(
        _drop(path)
        for path in sorted(folder.rglob("*"))
        if ".so" in path.suffixes and path.is_file()
    )


def _drop(path: Path) -> int:
    content = bytearray(path.read_bytes())
    if not content.startswith(_ELF64_LITTLE) or len(content) < _HEADER_SIZE:
        return 0
    (start,) = _PLACE_OF_SECTIONS.unpack_from(content, 40)
    each, count, names = _SHAPE_OF_SECTIONS.unpack_from(content, 58)
    if each != _SECTION.size or names >= count or start + each * count > len(content):
        return 0
    headers = [start + number * each for number in range(count)]
    sections = [_Section(*_SECTION.unpack_from(content, header)) for header in headers]
    dropped = 0
    for number in sorted(set(_useless(content, sections, names)) - {names}):
        section = sections[number]
        if section.flags & _LOADED or section.offset + section.size > len(content):
            continue
        content[section.offset : section.offset + section.size] = bytes(section.size)
        struct.pack_into("<I", content, headers[number] + 4, _NULL)
        dropped += section.size
    if dropped:
        path.write_bytes(content)
    return dropped


def _useless(content: bytearray, sections: list[_Section], names: int) -> Iterator[int]:
    """Yield the numbers of the sections that nobody reads at run time: symbols with their names,
    and debugging.
    """
    for number, section in enumerate(sections):
        if section.kind == _SYMTAB and section.link < len(sections):
            yield from (number, section.link)
        elif section.kind == _PROGBITS and not section.flags & _LOADED:
            begin = sections[names].offset + section.name
            if content.startswith((b".debug", b".comment"), begin):
                yield number
