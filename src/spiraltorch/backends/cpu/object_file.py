"""Checks object code from a file before LLVM's linker reads it, which takes a well-formed file for granted.

Of an ELF file (Linux) all that the linker follows is checked to lie within the file: sections, symbols and relocations, and
that the functions are there. Of the other formats only the beginning and the names are.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from ...errors import CompileError

_SYMBOLS, _RELOCATIONS, _NO_BITS = 2, 4, 8  # types of ELF sections
_MACH_O = b"\xcf\xfa\xed\xfe"
_COFF = {b"\x64\x86": "x86-64", b"\x64\xaa": "ARM64"}


class _Section(NamedTuple):
    """The header of an ELF section, as far as it is checked."""

    kind: int
    offset: int
    size: int
    link: int
    info: int
    entry: int


def check(code: bytes, functions: list[str]) -> None:
    """Raises `CompileError` where the code is not an object file that defines these functions."""
    try:
        fits = bool(functions) and (_elf(code, functions) if code[:4] == b"\x7fELF" else _other(code, functions))
    except (struct.error, IndexError, ValueError, OverflowError):
        fits = False
    if not fits:
        raise CompileError(
            f"[cpu] expected an object file with {', '.join(functions) or 'functions'}, got {len(code)} bytes that are none; "
            "compile the kernel again"
        )


def _other(code: bytes, functions: list[str]) -> bool:
    """Whether an object file of another format has its beginning and the names."""
    return (code[:4] == _MACH_O or code[:2] in _COFF) and all(name.encode() in code for name in functions)


def _elf(code: bytes, functions: list[str]) -> bool:
    """Whether everything in an ELF file lies within it, and it defines the functions."""
    kind, machine, version = struct.unpack_from("<HHI", code, 16)
    table, _, header, _, _, size, count, names = struct.unpack_from("<QIHHHHHH", code, 40)
    if code[4:7] != b"\x02\x01\x01" or kind != 1 or version != 1 or machine not in (62, 183) or header != 64:
        return False
    if size != 64 or not 0 < names < count or table + 64 * count > len(code):
        return False
    sections = []
    for n in range(count):
        _, kind, _, _, offset, nbytes, link, info, align, entry = struct.unpack_from(
            "<IIQQQQIIQQ", code, table + 64 * n
        )
        if link >= count or align & (align - 1) or align > 1 << 20:
            return False
        if nbytes > len(code) or (kind != _NO_BITS and offset + nbytes > len(code)):
            return False
        sections.append(_Section(kind, offset, nbytes, link, info, entry))
    defined: set[bytes] = set()
    for section in sections:
        if section.kind == _SYMBOLS and not _symbols(code, section, sections, defined):
            return False
        if section.kind == _RELOCATIONS and not _relocations(code, section, sections):
            return False
    return all(name.encode() in defined for name in functions)


def _symbols(code: bytes, table: _Section, sections: list[_Section], defined: set[bytes]) -> bool:
    """Whether the symbols of a table lie within their sections. The names of functions are added to `defined`."""
    names = sections[table.link]
    if table.entry != 24 or table.size % 24:
        return False
    for n in range(table.size // 24):
        name, info, _, place, value, nbytes = struct.unpack_from("<IBBHQQ", code, table.offset + 24 * n)
        if name >= names.size:
            return False
        if place == 0 or place >= 0xFF00:  # undefined, or without a section
            continue
        if place >= len(sections) or value + nbytes > sections[place].size:
            return False
        if info & 15 == 2:
            start = names.offset + name
            defined.add(code[start : code.index(b"\0", start)])
    return True


def _relocations(code: bytes, table: _Section, sections: list[_Section]) -> bool:
    """Whether the relocations of a table refer to places and symbols that exist."""
    symbols = sections[table.link]
    if table.entry != 24 or table.size % 24 or symbols.kind != _SYMBOLS or table.info >= len(sections):
        return False
    target = sections[table.info]
    for n in range(table.size // 24):
        place, info, _ = struct.unpack_from("<QQq", code, table.offset + 24 * n)
        if place + 4 > target.size or (info >> 32) * 24 >= symbols.size:
            return False
    return True
