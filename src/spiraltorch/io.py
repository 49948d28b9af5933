"""Checkpoints as safetensors files: `save` and `load`. Nothing is ever unpickled.

A flat dict of names and tensors becomes a plain safetensors file, as PyTorch users exchange them. Anything nested
(dicts, lists, tuples, tensors, arrays, numbers, strings, None: an optimizer's state, for example) is stored as named
tensors, and its structure as JSON in the file's metadata.

A file is written to a temporary name in the same directory and then moved, so a reader sees the old file or the new
one, never a part.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

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
from .tensor.arguments import number_of
from .tensor.creation import asarray
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
    number, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            for name in order:
                file.write(arrays[name].tobytes())
            file.flush()
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)  # a temporary file is private; the result has the usual permissions
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


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
    arrays, notes = _read(Path(path))
    values = {name: asarray(array, device=device) for name, array in arrays.items()}
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
    return {key: value for key, value in _read(Path(path))[1].items() if key != _STRUCTURE_KEY}


def _read(path: Path) -> tuple[dict[str, NDArray], dict[str, str]]:
    """Arrays by name, and the metadata."""
    import safetensors

    codec: Any = safetensors  # a package without types

    try:
        payload = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"[load] expected a readable file, got {error}; check the path") from None
    try:
        entries = codec.deserialize(payload)
        length = int.from_bytes(payload[:8], "little")
        notes = json.loads(payload[8 : 8 + length]).get("__metadata__") or {}
        arrays = {}
        for name, entry in entries:
            code = entry["dtype"]
            if code not in _CODES:
                raise CheckpointError(
                    f"[load] expected one of {', '.join(_CODES)}, got dtype={code} for {name!r} in {str(path)!r}; "
                    "convert the file first"
                )
            arrays[name] = np.frombuffer(bytearray(entry["data"]), _CODES[code].numpy).reshape(entry["shape"])
    except (codec.SafetensorError, ValueError, KeyError, AttributeError) as error:
        if isinstance(error, CheckpointError):
            raise
        found, remedy = _other_format(payload)
        if found:
            raise CheckpointError(
                f"[load] expected a safetensors file, got {found} in {str(path)!r}; {remedy}"
            ) from None
        raise CheckpointError(
            f"[load] expected a complete safetensors file, got {len(payload)} bytes in {str(path)!r} that are not one "
            f"({error}); copy or write the file again"
        ) from None
    return arrays, notes


def _check_path(op: str, path: object) -> None:
    """Raises `ArgumentError` for what is not the name of a file."""
    if not isinstance(path, (str, os.PathLike)):
        raise ArgumentError(f"[{op}] expected path as the name of a file, got {type(path).__name__}; pass a string")


def _other_format(payload: bytes) -> tuple[str, str]:
    """What a file of another known format is, and what to do with it; empty for an unknown one."""
    convert = "with safetensors.torch.save_file(torch.load(path, weights_only=True), new_path)"
    if payload[:4] == b"PK\x03\x04":
        if b"/data.pkl" in payload[:4096] or b"/data.pkl" in payload[-65536:]:
            return "a pickle of PyTorch, which is not loaded since it could run code", f"convert it {convert}"
        if b".npy" in payload[:4096]:
            return "arrays that numpy.savez wrote", "use numpy.load and st.tensor"
    if payload[:1] == b"\x80":
        return "a pickle, which is not loaded since it could run code", f"if PyTorch wrote it, convert it {convert}"
    if payload[:6] == b"\x93NUMPY":
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
