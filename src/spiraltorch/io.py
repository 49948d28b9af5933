"""Checkpoints as safetensors files: `save` and `load`. Nothing is ever unpickled.

A flat dict of names and tensors becomes a plain safetensors file, as PyTorch users exchange them. Anything nested
(dicts, lists, tuples, tensors, arrays, numbers, strings, None: an optimizer's state, for example) is stored as named
tensors, and its structure as JSON in the file's metadata.

A file is written to a temporary name in the same directory and then moved, so a reader sees the old file or the new
one, never a part.
"""

from __future__ import annotations

import json
import math
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeAlias

import numpy as np

from .dtypes import (
    DType,
    bfloat16,
    bool_,
    float16,
    float32,
    float64,
    from_numpy,
    int8,
    int16,
    int32,
    int64,
    uint8,
    uint16,
    uint32,
    uint64,
)
from .errors import ArgumentError, CheckpointError
from .runtime import files
from .tensor.arguments import number_of
from .tensor.creation import device_name, owning
from .tensor.tensor import Tensor
from .typing import DeviceLike, NDArray

__all__ = ["load", "load_metadata", "save"]

_CODES: dict[str, DType] = {
    "BOOL": bool_,
    "I8": int8,
    "I16": int16,
    "I32": int32,
    "I64": int64,
    "U8": uint8,
    "U16": uint16,
    "U32": uint32,
    "U64": uint64,
    "F16": float16,
    "BF16": bfloat16,
    "F32": float32,
    "F64": float64,
}
_NAMES = {dtype: code for code, dtype in _CODES.items()}
_STRUCTURE_KEY = "spiraltorch.skeleton"
_MAX_DEPTH = 100
_MAX_HEADER = 100_000_000  # bytes, the format's own limit

PathLike: TypeAlias = str | os.PathLike[str]
"""The name of a file."""

Checkpoint: TypeAlias = dict[Any, Any]
"""Tensors by name, or the nested dict that was saved: its keys and values are of the types that went into the file."""


def save(
    state: Mapping[str, object] | Mapping[int, object], path: PathLike, metadata: Mapping[str, str] | None = None
) -> None:
    """Writes tensors to a safetensors file, which `load` reads.

    The file is replaced as a whole: a reader sees the old one or the new one.

    Args:
        state: tensors or arrays by name, as `Module.state_dict` returns them; or a nested dict of dicts, lists and
            tuples, with tensors, arrays, numbers, strings and None.
        path: the file's name.
        metadata: strings that are stored in the file's header.

    Raises:
        ArgumentError: the state is not a dict, or a value cannot be stored.
        OSError: the file cannot be written.

    Example:
        >>> import spiraltorch as st
        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "model.safetensors")
        >>> st.save({"w": st.ones(2)}, path)
        >>> st.load(path)["w"].tolist()
        [1.0, 1.0]
    """
    if not isinstance(state, Mapping):
        raise ArgumentError(
            f"[save] expected state as a dict of tensors, got {type(state).__name__}; pass {{'name': tensor}} or "
            "model.state_dict(), and the path after it"
        )
    _check_path("save", path)
    arrays: dict[str, NDArray] = {}
    notes = {str(key): str(value) for key, value in (metadata or {}).items()}
    entries: Mapping[Any, object] = state
    if all(isinstance(key, str) and isinstance(value, (Tensor, np.ndarray)) for key, value in entries.items()):
        for key, value in entries.items():
            arrays[key] = _array(value, key)
    else:
        notes[_STRUCTURE_KEY] = json.dumps(_flatten(state, "", arrays, 0))
    if "__metadata__" in arrays:
        raise ArgumentError(
            "[save] expected names other than __metadata__, which the format reserves, got that name; rename it"
        )
    try:
        _write(Path(path), arrays, notes)
    except OSError as error:  # names the file that was asked for, not the temporary one
        why = f"[save] expected a file that can be written, got {error.strerror}; check the folder and its permissions"
        raise OSError(error.errno, why, str(path)) from None


def _write(path: Path, arrays: dict[str, NDArray], notes: dict[str, str]) -> None:
    """Writes the format (length, JSON header, data) to a file beside `path` and moves it there."""
    # Wide elements first, as other writers do, so that every tensor is aligned to its element.
    order = sorted(arrays, key=lambda name: (-arrays[name].itemsize, name))
    header: dict[str, Any] = {"__metadata__": notes} if notes else {}
    end = 0
    for name in order:
        array, start = arrays[name], end
        end += array.nbytes
        code = _NAMES[from_numpy(array.dtype)]
        header[name] = {"dtype": code, "shape": list(array.shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    data = (arrays[name].reshape(-1).view(np.uint8).data for name in order)
    files.replace(path, chain([memoryview(len(text).to_bytes(8, "little") + text)], data), 0o666, sync=True)


def load(path: PathLike, device: DeviceLike | None = None) -> Checkpoint:
    """Reads a file that `save`, or any other writer of safetensors, has written.

    Args:
        path: the file's name.
        device: the device of the tensors; if None, the default device.

    Returns:
        Tensors by name, or the nested dict that was saved; arrays come back as tensors.

    Raises:
        CheckpointError: the file is missing, truncated, corrupt or of another format, or has an unsupported dtype.

    Example:
        >>> import spiraltorch as st
        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "checkpoint.safetensors")
        >>> st.save({"epoch": 3, "model": {"w": st.ones(2)}}, path)
        >>> checkpoint = st.load(path)
        >>> checkpoint["epoch"], checkpoint["model"]["w"].tolist()
        (3, [1.0, 1.0])
    """
    _check_path("load", path)
    name_of_device = device_name(device)
    with _opened(Path(path)) as (file, entries, notes):
        values = {name: owning(_read(file, entry, str(path)), name_of_device) for name, entry in entries.items()}
    if _STRUCTURE_KEY not in notes:
        return values
    try:
        nested = _restore(json.loads(notes[_STRUCTURE_KEY]), values)
    except (KeyError, TypeError, ValueError, IndexError, RecursionError) as error:
        raise CheckpointError(
            f"[load] expected a structure that fits the tensors in {str(path)!r}, got {error!r}; write the file again"
        ) from None
    if not isinstance(nested, dict):
        raise CheckpointError(f"[load] expected a dict in {str(path)!r}, got {type(nested).__name__}; write it again")
    return nested


def load_metadata(path: PathLike) -> dict[str, str]:
    """Reads the metadata that was passed to `save`.

    Args:
        path: the file's name.

    Returns:
        The strings by name.

    Raises:
        CheckpointError: the file is missing, truncated or corrupt.

    Example:
        >>> import spiraltorch as st
        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "model.safetensors")
        >>> st.save({"w": st.ones(2)}, path, metadata={"version": "1"})
        >>> st.io.load_metadata(path)
        {'version': '1'}
    """
    with _opened(Path(path)) as (_, _, notes):
        return {key: value for key, value in notes.items() if key != _STRUCTURE_KEY}


class _Entry(NamedTuple):
    """Where the elements of an array lie in a file."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int


@contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, dict[str, _Entry], dict[str, str]]]:
    """An open file, its arrays by name, and the metadata."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
        with open(descriptor, "rb", buffering=0) as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError("it is no regular file")
            size = os.fstat(descriptor).st_size
            header, start = _header(file, size, str(path))
            notes = header.pop("__metadata__", None) or {}
            yield file, _entries(file, size, start, header, str(path)), notes
    except OSError as error:
        raise CheckpointError(f"[load] expected a readable file, got {error}; check the path {str(path)!r}") from None


def _read(file: BinaryIO, entry: _Entry, path: str) -> NDArray:
    """The elements of an array: the only copy of them that is made."""
    array = np.empty(entry.shape, entry.dtype)
    rest = array.reshape(-1).view(np.uint8).data
    file.seek(entry.offset)
    while rest:
        count = file.readinto(rest)  # type: ignore[attr-defined]  # of an unbuffered file
        if not count:
            raise CheckpointError(f"[load] expected a complete file, got one that became shorter; read {path!r} again")
        rest = rest[count:]
    return array


def _header(file: BinaryIO, size: int, path: str) -> tuple[dict[str, Any], int]:
    """The JSON header of the format, and where the data begins."""
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or not 2 <= length <= min(size - 8, _MAX_HEADER):
        raise _corrupt(file, size, path, "the length of its header")
    try:
        header = json.loads(file.read(length))
    except (ValueError, RecursionError) as error:
        raise _corrupt(file, size, path, f"its header: {error}") from None
    notes = header.get("__metadata__") or {} if isinstance(header, dict) else None
    if not isinstance(notes, dict) or not all(isinstance(value, str) for value in notes.values()):
        raise _corrupt(file, size, path, "its header is not a JSON object with strings as metadata")
    return header, 8 + length


def _entries(file: BinaryIO, size: int, start: int, header: dict[str, Any], path: str) -> dict[str, _Entry]:
    """The arrays that a header describes. They lie one after another and fill the file."""
    entries: dict[str, _Entry] = {}
    spans = []
    for name, entry in header.items():
        try:
            code, shape, (begin, end) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
            if not all(type(e) is int and e >= 0 for e in (*shape, begin, end)):
                raise ValueError(f"shape or offsets of {name!r}")
            if code not in _CODES:
                raise CheckpointError(
                    f"[load] expected one of {', '.join(_CODES)}, got dtype={code} for {name!r} in {path!r}; "
                    "convert the file first"
                )
            dtype = _CODES[code].numpy
            if end - begin != math.prod(shape) * dtype.itemsize or start + end > size:
                raise ValueError(f"{end - begin} bytes for {name!r}")
        except (ValueError, KeyError, TypeError) as error:
            if isinstance(error, CheckpointError):
                raise
            raise _corrupt(file, size, path, f"{error!r}") from None
        entries[name] = _Entry(dtype, shape, start + begin)
        spans.append((begin, end))
    place = 0
    for begin, end in sorted(spans):
        if begin != place:
            raise _corrupt(file, size, path, f"a gap or an overlap at byte {place}")
        place = end
    if start + place != size:
        raise _corrupt(file, size, path, f"{size - start - place} bytes more than its header says")
    return entries


def _corrupt(file: BinaryIO, size: int, path: str, why: str) -> CheckpointError:
    """The error of a file that is not of the format."""
    file.seek(0)
    first = file.read(4096)
    file.seek(max(0, size - 65536))
    found, remedy = _other_format(first, file.read(65536))
    if found:
        return CheckpointError(f"[load] expected a safetensors file, got {found} in {path!r}; {remedy}")
    return CheckpointError(
        f"[load] expected a complete safetensors file, got {size} bytes in {path!r} that are not one ({why}); copy or write "
        "the file again"
    )


def _check_path(op: str, path: object) -> None:
    """Raises `ArgumentError` for what is not the name of a file."""
    if not isinstance(path, (str, os.PathLike)):
        raise ArgumentError(f"[{op}] expected path as the name of a file, got {type(path).__name__}; pass a string")


def _other_format(first: bytes, last: bytes) -> tuple[str, str]:
    """What a file of another known format is, and what to do with it; empty for an unknown one."""
    convert = "with safetensors.torch.save_file(torch.load(path, weights_only=True), new_path)"
    if first[:4] == b"PK\x03\x04":
        if b"/data.pkl" in first or b"/data.pkl" in last:
            return "a pickle of PyTorch, which is not loaded since it could run code", f"convert it {convert}"
        if b".npy" in first:
            return "arrays that numpy.savez wrote", "use numpy.load and st.tensor"
    if first[:1] == b"\x80":
        return "a pickle, which is not loaded since it could run code", f"if PyTorch wrote it, convert it {convert}"
    if first[:6] == b"\x93NUMPY":
        return "an array that numpy.save wrote", "use numpy.load and st.tensor"
    return "", ""


def _array(value: Any, name: str) -> NDArray:
    """A tensor or an array as contiguous memory of a known dtype."""
    array = value.detach().numpy() if isinstance(value, Tensor) else value
    try:
        from_numpy(array.dtype)
    except TypeError:
        raise ArgumentError(f"[save] expected numbers, got dtype={array.dtype} for {name!r}; convert it") from None
    contiguous: NDArray = np.ascontiguousarray(array).reshape(array.shape)
    return contiguous


def _flatten(value: Any, path: str, arrays: dict[str, NDArray], depth: int) -> Any:
    """The structure of a value as JSON; tensors go into `arrays` under their dotted path."""
    if depth > _MAX_DEPTH:
        raise ArgumentError(
            f"[save] expected at most {_MAX_DEPTH} levels, got more at {path[:60]!r}; remove the cycle or flatten the structure"
        )
    if value is None or isinstance(value, str):
        return value
    number = number_of(value)
    if number is not None:
        return number
    if isinstance(value, (Tensor, np.ndarray)):
        name = path or "value"
        while name in arrays:
            name += "_"
        arrays[name] = _array(value, name)
        return {"tensor": name}
    if isinstance(value, Mapping):
        pairs = []
        for key, inner in value.items():
            if key is not None and not isinstance(key, (bool, int, float, str)):
                raise ArgumentError(f"[save] expected plain keys, got {type(key).__name__} below {path!r}; convert it")
            pairs.append([key, _flatten(inner, f"{path}.{key}" if path else str(key), arrays, depth + 1)])
        return {"dict": pairs}
    if isinstance(value, (list, tuple)):
        inner_values = [_flatten(x, f"{path}.{n}", arrays, depth + 1) for n, x in enumerate(value)]
        return {"tuple": inner_values} if isinstance(value, tuple) else inner_values
    raise ArgumentError(
        f"[save] expected tensors, numbers, strings, dicts, lists or tuples, got {type(value).__name__} at {path!r}; "
        "convert it"
    )


def _restore(structure: Any, values: dict[str, Tensor]) -> Any:
    """The inverse of `_flatten`."""
    if isinstance(structure, list):
        return [_restore(inner, values) for inner in structure]
    if not isinstance(structure, dict):
        return structure
    if "tensor" in structure:
        return values[structure["tensor"]]
    if "tuple" in structure:
        return tuple(_restore(inner, values) for inner in structure["tuple"])
    return {key: _restore(inner, values) for key, inner in structure["dict"]}
