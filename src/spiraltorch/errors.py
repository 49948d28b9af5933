"""The exceptions that SpiralTorch raises. Every one derives from `SpiralTorchError`.

Messages read `[op] what was expected, what came, what to do`. Each class also derives from the built-in
exception that NumPy or PyTorch users would catch, so `except ValueError` keeps working.
"""

from __future__ import annotations


class SpiralTorchError(Exception):
    """Base of all errors raised on purpose by this package."""


class ShapeError(SpiralTorchError, ValueError):
    """Shapes do not fit the operation."""


class DTypeError(SpiralTorchError, TypeError):
    """A dtype does not fit the operation."""


class IndexOutOfRange(SpiralTorchError, IndexError):
    """An index lies outside the axis that it addresses."""


def out_of_range(op: str, lower: int, upper: int, got: int) -> IndexOutOfRange:
    """The error of an index outside `[lower, upper)`."""
    return IndexOutOfRange(f"[{op}] expected indices from {lower} to {upper - 1}, got {got}")


class ArgumentError(SpiralTorchError, ValueError):
    """An argument has the right type but an impossible value."""


class DeviceError(SpiralTorchError, RuntimeError):
    """A device is unknown, unavailable, or two operands live on different devices."""


class DeviceLostError(DeviceError):
    """A device stopped working: its tensors are gone, other devices go on."""


class GradientError(SpiralTorchError, RuntimeError):
    """A gradient was asked for where none exists."""


class OutOfMemoryError(SpiralTorchError, MemoryError):
    """A device could not provide the memory; caches were freed and the request was tried once more."""


class CompileError(SpiralTorchError, RuntimeError):
    """A kernel could not be built. The message names the kernel and the stage."""


class TracingError(SpiralTorchError, RuntimeError):
    """A value was needed while `compile` was recording, where no value exists yet."""


class CheckpointError(SpiralTorchError, ValueError):
    """A checkpoint is corrupt, truncated, or does not fit the model."""
