"""The exceptions that SpiralTorch raises. Every one derives from `SpiralTorchError`.

Messages read `[op] what was expected, what came, what to do`. Each class also derives from the built-in exception that
NumPy or PyTorch users would catch, so `except ValueError` keeps working.

Example:
    >>> import spiraltorch as st
    >>> try:
    ...     st.ones(2, 3) @ st.ones(2, 3)
    ... except st.ShapeError as error:
    ...     print(str(error).partition(";")[2])
     transpose one operand
"""

from __future__ import annotations

__all__ = [
    "ArgumentError", "CheckpointError", "CompileError", "DTypeError", "DeviceError", "DeviceLostError", "GradientError",
    "IndexOutOfRange", "OutOfMemoryError", "ShapeError", "SpiralTorchError", "TracingError",
]  # fmt: skip


class SpiralTorchError(Exception):
    """The base of all errors that this package raises on purpose."""


class ShapeError(SpiralTorchError, ValueError):
    """Shapes do not fit the operation, or each other."""


class DTypeError(SpiralTorchError, TypeError):
    """A dtype does not fit the operation, or a value does not fit the dtype."""


class IndexOutOfRange(SpiralTorchError, IndexError):
    """An index lies outside the axis that it addresses, or an axis outside those of the tensor."""


def out_of_range(op: str, lower: int, upper: int, got: int) -> IndexOutOfRange:
    """The error of an index outside `[lower, upper)`."""
    return IndexOutOfRange(f"[{op}] expected indices from {lower} to {upper - 1}, got {got}")


class ArgumentError(SpiralTorchError, ValueError):
    """An argument has the right type but an impossible value."""


class DeviceError(SpiralTorchError, RuntimeError):
    """A device is unknown or unavailable, or two operands are on different devices."""


class DeviceLostError(DeviceError):
    """A device stopped working: its tensors are lost, while other devices still work."""


class GradientError(SpiralTorchError, RuntimeError):
    """A gradient was requested where none exists."""


class OutOfMemoryError(SpiralTorchError, MemoryError):
    """A device could not provide the memory, even after its caches were freed."""


class CompileError(SpiralTorchError, RuntimeError):
    """A kernel could not be compiled. The message names the kernel and the stage."""


class TracingError(SpiralTorchError, RuntimeError):
    """A value was needed while `compile` recorded a function, where no value exists yet."""


class CheckpointError(SpiralTorchError, ValueError):
    """A checkpoint is corrupt or truncated, or does not fit the model."""
