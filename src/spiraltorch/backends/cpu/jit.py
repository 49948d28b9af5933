"""LLVM IR text to machine code in this process, through llvmlite's ORC JIT.

`emit` makes object code, which the caches keep; `load` links it into the process. Linked code stays for the life of the
process. LLVM is imported at the first use. llvmlite has no static types.
"""

from __future__ import annotations

import ctypes
import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ...errors import CompileError
from ...runtime.interpreter import short_switch_interval
from .host import Machine, host

if TYPE_CHECKING:
    from concurrent.futures import Executor

_NUMBER = itertools.count()  # of linked libraries, which need names of their own
_LINKED: list[object] = []  # linked libraries, and symbols that they use: they live as long as the process


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


@lru_cache(maxsize=1)
def _session() -> Any:
    """The process's JIT."""
    llvm = _llvm()
    own = llvm.Target.from_triple(llvm.get_process_triple()).create_target_machine(
        cpu=host().cpu, features=host().features, opt=3, reloc="pic", codemodel="default"
    )
    return llvm.create_lljit_compiler(own, use_jit_link=False, suppress_errors=False)


def emit(text: str, of: Machine, name: str = "module") -> bytes:
    """The object code of a module given as LLVM IR text.

    The module is verified first, since LLVM aborts the process on bad input. SROA is the only optimisation pass.

    Raises:
        CompileError: LLVM rejects the module `name`.
    """
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


@contextmanager
def compile_thread() -> Iterator[Executor]:
    """A thread for `emit` to run in while this one schedules and renders.

    LLVM runs without the interpreter's lock, but asks for it again after each call. So threads switch sooner here.
    """
    from concurrent.futures import ThreadPoolExecutor  # brings logging

    with short_switch_interval():
        executor = ThreadPoolExecutor(1, "spiraltorch-llvm")
        try:
            yield executor
        finally:
            executor.shutdown(cancel_futures=True)  # after an error the rest is not needed


@lru_cache(maxsize=1)
def _system_symbols() -> dict[str, int]:
    """Symbols that object code needs besides the C library's: on Windows `_fltused`, which says that floats are used."""
    if os.name != "nt":
        return {}
    mark = ctypes.c_int(0x9875)
    _LINKED.append(mark)
    return {"_fltused": ctypes.addressof(mark)}


def load(code: bytes, functions: list[str], symbols: dict[str, int] | None = None) -> dict[str, int]:
    """Links object code into the process.

    Args:
        code: the object code that `emit` returned.
        functions: names of the functions to call.
        symbols: addresses of further symbols that the code may refer to.

    Returns:
        The address of each function.
    """
    library = _llvm().JITLibraryBuilder().add_object_img(code)
    for name, address in {**_system_symbols(), **(symbols or {})}.items():
        library.import_symbol(name, address)
    library.add_current_process()
    for function in functions:
        library.export_symbol(function)
    try:
        tracker = library.link(_session(), f"spiraltorch{next(_NUMBER)}")
    except RuntimeError as error:
        raise CompileError(f"[cpu] linking {functions[0]} failed: {error}") from error
    _LINKED.append(tracker)
    return {function: tracker[function] for function in functions}
