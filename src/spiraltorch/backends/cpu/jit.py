"""LLVM IR text to machine code in this process, through llvmlite's ORC JIT.

`emit` makes object code, which the caches keep; `load` links it into the process, where it stays as long as the `Code` that
`load` returns. All calls of LLVM are made by one thread, `LLVM`, since llvmlite holds a lock during each: an exception of a
signal handler would leave it locked. LLVM is imported at the first use. llvmlite has no static types.
"""

from __future__ import annotations

import ctypes
import itertools
import os
from collections import deque
from functools import lru_cache, partial
from typing import Any

from ...errors import CompileError
from . import object_file
from .host import LLVM, Machine, host

_NUMBER = itertools.count()  # of linked libraries, which need names of their own
_SYMBOLS: list[object] = []  # symbols that linked libraries use: they live as long as the process
SESSION_LIMIT = 128  # libraries that a session links
# Linked libraries by number, with their sessions, used in LLVM's thread. Only this refers to them, since llvmlite's objects
# close themselves when they are dropped, in whichever thread the collector of garbage runs.
_LINKED: dict[int, tuple[_Session, Any]] = {}
_UNUSED: deque[int] = deque()  # numbers of libraries that nothing uses, which the next call of LLVM unloads


@lru_cache(maxsize=1)
def _llvm() -> Any:
    """llvmlite's binding, with the host's target initialised."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    llvm.initialize_native_asmparser()
    return llvm


@lru_cache(maxsize=8)
def target_machine(of: Machine) -> Any:
    """LLVM's code generator for a machine."""
    llvm = _llvm()
    if of.triple != llvm.get_process_triple():
        llvm.initialize_all_targets()
        llvm.initialize_all_asmprinters()
    return llvm.Target.from_triple(of.triple).create_target_machine(
        cpu=of.cpu, features=of.features, opt=3, reloc="pic", codemodel="default"
    )


class _Session:
    """A JIT, with the number of libraries that it has linked and of those that are not unloaded.

    A library that is unloaded leaves some memory behind, which goes with the session. So a session links `SESSION_LIMIT`
    libraries, and is closed when the last of them is unloaded.
    """

    current: _Session | None = None

    def __init__(self) -> None:
        self.jit = _new_jit()
        self.linked = 0
        self.loaded = 0

    def close_if_unused(self) -> None:
        """Closes the JIT if nothing is loaded and nothing will be."""
        if self.loaded == 0 and self is not _Session.current:
            self.jit.close()


def _session() -> _Session:
    """The session that links the next library."""
    old = _Session.current
    if old is not None and old.linked < SESSION_LIMIT:
        return old
    _Session.current = new = _Session()
    if old is not None:
        old.close_if_unused()
    return new


def _new_jit() -> Any:
    """A JIT of this process."""
    llvm = _llvm()
    own = llvm.Target.from_triple(llvm.get_process_triple()).create_target_machine(
        cpu=host().cpu, features=host().features, opt=3, reloc="pic", codemodel="default"
    )
    # JITLink puts the sections of a library side by side. The older linker may put them farther apart than code can reach,
    # and ends the process then; on Windows it is the one that is complete.
    return llvm.create_lljit_compiler(own, use_jit_link=os.name != "nt", suppress_errors=False)


def emit(text: str, of: Machine, name: str = "module") -> bytes:
    """The object code of a module given as LLVM IR text.

    The module is verified first, since LLVM aborts the process on bad input. SROA is the only optimisation pass.

    Raises:
        CompileError: LLVM rejects the module `name`.
    """
    return LLVM.call(partial(_emit, text, of, name))


def _emit(text: str, of: Machine, name: str) -> bytes:
    """What `emit` does, in LLVM's thread."""
    _unload()
    llvm = _llvm()
    generator = target_machine(of)
    try:
        module = llvm.parse_assembly(text)
        module.triple = of.triple
        module.data_layout = str(generator.target_data)
        module.verify()
    except RuntimeError as error:
        raise CompileError(f"[cpu] LLVM rejected {name}: {error}") from error
    builder = llvm.create_pass_builder(generator, llvm.create_pipeline_tuning_options(speed_level=0))
    passes = llvm.create_new_function_pass_manager()
    passes.add_sroa_pass()
    for function in module.functions:
        if not function.is_declaration:
            passes.run(function, builder)
    return bytes(generator.emit_object(module))


@lru_cache(maxsize=1)
def _system_symbols() -> dict[str, int]:
    """Symbols that object code needs besides the C library's: on Windows `_fltused`, which says that floats are used."""
    if os.name != "nt":
        return {}
    mark = ctypes.c_int(0x9875)
    _SYMBOLS.append(mark)
    return {"_fltused": ctypes.addressof(mark)}


class Code:
    """Functions that are linked into the process. They are unloaded some time after the last reference to this is dropped.

    Attributes:
        addresses: the address of each function by its name.
    """

    __slots__ = ("_number", "_unused", "addresses")

    def __init__(self, number: int, addresses: dict[str, int]) -> None:
        self._number = number
        self._unused = _UNUSED  # global names may be gone when the interpreter ends
        self.addresses = addresses

    def __del__(self) -> None:
        self._unused.append(self._number)


def _unload() -> None:
    """Unloads libraries that nothing uses, in LLVM's thread."""
    while _UNUSED:
        session, library = _LINKED.pop(_UNUSED.popleft())
        library.close()
        session.loaded -= 1
        session.close_if_unused()


def load(code: bytes, functions: list[str], symbols: dict[str, int] | None = None) -> Code:
    """Links object code into the process.

    Args:
        code: the object code that `emit` returned.
        functions: names of the functions to call.
        symbols: addresses of further symbols that the code may refer to.

    Returns:
        The functions.

    Raises:
        CompileError: the code is none of this machine, or lacks one of the functions.
    """
    return LLVM.call(partial(_load, code, functions, symbols or {}))


def _load(code: bytes, functions: list[str], symbols: dict[str, int]) -> Code:
    """What `load` does, in LLVM's thread."""
    _unload()
    object_file.check(code, functions)
    library = _llvm().JITLibraryBuilder().add_object_img(code)
    for name, address in {**_system_symbols(), **symbols}.items():
        library.import_symbol(name, address)
    library.add_current_process()
    for function in functions:
        library.export_symbol(function)
    session, number = _session(), next(_NUMBER)
    session.linked += 1
    try:
        linked = library.link(session.jit, f"spiraltorch{number}")
    except RuntimeError as error:
        raise CompileError(f"[cpu] linking {functions[0]} failed: {error}") from error
    _LINKED[number] = session, linked
    session.loaded += 1
    return Code(number, {function: linked[function] for function in functions})
