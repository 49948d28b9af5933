"""Checkpoints in one format: safetensors. `save` and `load`; nothing is ever unpickled.

A flat dict of names and tensors becomes a plain safetensors file, as PyTorch users exchange them. Anything nested
(dicts, lists, tuples, tensors, arrays, numbers, strings, None: an optimizer's state, for example) is stored as named
tensors beside a JSON skeleton in the file's metadata.

A file is written to a temporary name in the same directory and then moved, so a reader sees the old file or the new
one, never a part.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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
from .tensor.creation import asarray
from .tensor.tensor import Tensor

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
_SKELETON = "spiraltorch.skeleton"
_DEPTH = 100

PathLike = str | os.PathLike[str]


def save(state: Mapping[Any, Any], path: PathLike, metadata: Mapping[str, str] | None = None) -> None:
    """Writes a dict of tensors, or a nested one, to `path`.

    Raises `ArgumentError` for a value that cannot be stored, and `OSError` where the file cannot be written; the old
    file stays in both cases.

    >>> import os, tempfile
    >>> import spiraltorch as st
    >>> path = os.path.join(tempfile.mkdtemp(), "model.safetensors")
    >>> st.save({"w": st.ones(2)}, path)
    >>> st.load(path)["w"].tolist()
    [1.0, 1.0]
    """
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    notes = {str(key): str(value) for key, value in (metadata or {}).items()}
    if all(isinstance(key, str) and isinstance(value, (Tensor, np.ndarray)) for key, value in state.items()):
        for key, value in state.items():
            arrays[key] = _array(value, key)
    else:
        skeleton = _flatten(state, "", arrays, 0)
        notes[_SKELETON] = json.dumps(skeleton)
    if "__metadata__" in arrays:
        raise ArgumentError("[save] expected names other than __metadata__, which the format reserves; rename it")
    try:
        _write(Path(path), arrays, notes)
    except OSError as error:  # names the file that was asked for, not the temporary one
        why = f"[save] expected a file that can be written, got {error.strerror}; check the folder and its permissions"
        raise OSError(error.errno, why, str(path)) from None


def _write(path: Path, arrays: dict[str, np.ndarray[Any, Any]], notes: dict[str, str]) -> None:
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


def load(path: PathLike, device: str | None = None) -> dict[Any, Any]:
    """Reads what `save`, or any other writer of safetensors, has written: names and tensors, or the nested dict.

    Raises `CheckpointError` for a file that is missing, truncated, corrupt, or of an unknown dtype.
    """
    arrays, notes = _read(Path(path))
    values = {name: asarray(array, device=device) for name, array in arrays.items()}
    if _SKELETON not in notes:
        return values
    try:
        nested = _restore(json.loads(notes[_SKELETON]), values)
    except (KeyError, TypeError, ValueError, IndexError, RecursionError) as error:
        raise CheckpointError(
            f"[load] expected a skeleton that fits the tensors in {str(path)!r}, got {error!r}; write the file again"
        ) from None
    if not isinstance(nested, dict):
        raise CheckpointError(f"[load] expected a dict in {str(path)!r}, got {type(nested).__name__}; write it again")
    return nested


def load_metadata(path: PathLike) -> dict[str, str]:
    """The metadata strings of a file. Raises `CheckpointError` as `load` does."""
    return {key: value for key, value in _read(Path(path))[1].items() if key != _SKELETON}


def _read(path: Path) -> tuple[dict[str, np.ndarray[Any, Any]], dict[str, str]]:
    """Arrays by name, and the metadata."""
    import safetensors

    codec: Any = safetensors  # the package has no types

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
        raise CheckpointError(
            f"[load] expected a complete safetensors file, got {len(payload)} bytes in {str(path)!r} that are not one "
            f"({error}); copy or write the file again"
        ) from None
    return arrays, notes


def _array(value: Any, name: str) -> np.ndarray[Any, Any]:
    """A tensor or an array as contiguous memory of a known dtype."""
    array = value.detach().numpy() if isinstance(value, Tensor) else value
    try:
        from_numpy(array.dtype)
    except TypeError:
        raise ArgumentError(f"[save] expected numbers, got dtype={array.dtype} for {name!r}; convert it") from None
    made: np.ndarray[Any, Any] = np.ascontiguousarray(array).reshape(array.shape)
    return made


def _flatten(value: Any, path: str, arrays: dict[str, np.ndarray[Any, Any]], depth: int) -> Any:
    """The skeleton of a value; tensors go into `arrays` under their dotted path."""
    if depth > _DEPTH:
        raise ArgumentError(f"[save] expected at most {_DEPTH} levels, got more at {path[:60]!r}; is there a cycle?")
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
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


def _restore(skeleton: Any, values: dict[str, Tensor]) -> Any:
    """The inverse of `_flatten`."""
    if isinstance(skeleton, list):
        return [_restore(inner, values) for inner in skeleton]
    if not isinstance(skeleton, dict):
        return skeleton
    if "tensor" in skeleton:
        return values[skeleton["tensor"]]
    if "tuple" in skeleton:
        return tuple(_restore(inner, values) for inner in skeleton["tuple"])
    return {key: _restore(inner, values) for key, inner in skeleton["dict"]}
