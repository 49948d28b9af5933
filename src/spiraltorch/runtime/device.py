"""The devices of this process: which backends are installed, which devices are open, and which is the default.

All of it is kept in one `_Registry`. It imports no backend by name: entry points of the group `spiraltorch.backends` do.
A backend that cannot be imported, or finds no device, gives a reason instead of raising.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..dtypes import DType
from ..errors import DeviceError, DTypeError, OutOfMemoryError
from ..telemetry.counting import watch_allocator
from . import thread as thread  # whose hooks of forks come before those of locks that are held during its calls
from .protocol import Backend, Device, DeviceFacts


class DeviceName(str):
    """The full name of a device, such as `cpu:0`: a str with the attributes of PyTorch's `torch.device`.

    Attributes:
        type: the backend's name.
        index: the device's number. `str.index` is hidden by it; `str.find` searches.

    Example:
        >>> import spiraltorch as st
        >>> st.device("cpu").type, st.device("cpu").index, st.device("cpu") == "cpu:0"
        ('cpu', 0, True)
    """

    __slots__ = ()

    @property
    def type(self) -> str:
        """The backend's name."""
        return self.partition(":")[0]

    @property
    def index(self) -> int:  # type: ignore[override]  # PyTorch's name
        """The number of the device among those of its backend."""
        return int(self.partition(":")[2])

    def __reduce__(self) -> tuple[Callable[[str], str], tuple[str]]:
        return str, (str(self),)  # files do not depend on this class


_NAMES: dict[str, DeviceName] = {}  # one object a name: as many as there are devices


def named(name: str) -> DeviceName:
    """The full name of a device as a `DeviceName`, one object for each."""
    found = _NAMES.get(name)
    return found if found is not None else _NAMES.setdefault(name, DeviceName(name))


class _Unloadable:
    """Stands for an installed backend whose package cannot be imported."""

    def __init__(self, name: str, error: Exception) -> None:
        self.name = name
        self.error = error

    def devices(self) -> list[str]:
        """Returns no devices."""
        return []

    def reason(self) -> str | None:
        """The message of the failed import."""
        return f"it cannot be imported ({self.error}); try `pip install --force-reinstall spiraltorch[{self.name}]`"

    def open(self, name: str) -> Device:
        """Raises `DeviceError`."""
        raise DeviceError(f"[device] expected {name!r} to be available, got none: {self.reason()}")

    def describe(self, name: str) -> DeviceFacts:
        """Raises `DeviceError`."""
        raise DeviceError(f"[device] expected {name!r} to be available, got none: {self.reason()}")


class _Registry:
    """Backends, open devices and the default device.

    Written under `lock` only, each entry once (tests replace entries). Read without the lock: a dictionary look-up is
    atomic.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        if hasattr(os, "register_at_fork"):  # a child must not find it held by a thread that it does not have
            os.register_at_fork(
                before=self.lock.acquire, after_in_parent=self.lock.release, after_in_child=self.lock.release
            )
        self.backends: dict[str, Backend] = {}  # by name; empty until they are loaded
        self.devices: dict[str, Device] = {}  # the open ones, by canonical name
        self.default: str | None = None  # None until it is first read

    def load(self) -> None:
        """Loads every installed backend."""
        with self.lock:  # the import, too: a forked child would wait for one that another thread has begun
            try:
                from importlib.metadata import entry_points  # slow to import, and not needed to import the package
            except (ImportError, OSError) as error:
                raise DeviceError(
                    f"[device] expected to be able to import the backends, got {error!r}; use a device before the interpreter ends"
                ) from error
            loaded: dict[str, Backend] = {}
            for entry in entry_points(group="spiraltorch.backends"):
                backend: Backend
                try:
                    backend = entry.load()
                except OSError as error:  # no file descriptor, say, which may pass
                    raise DeviceError(
                        f"[device] expected to read the backend {entry.name}, got {error!r}; try again"
                    ) from error
                except Exception as error:  # any exception of the import becomes the backend's reason
                    backend = _Unloadable(entry.name, error)
                loaded.setdefault(entry.name, backend)
            self.backends = self.backends or loaded

    def open(self, name: str) -> Device:
        """The device of a canonical name, opened at its first use."""
        with self.lock:
            device = self.devices.get(name)
            if device is None:
                device = self.devices[name] = backends()[name.partition(":")[0]].open(name)
                watch_allocator(name, device.memory)
            return device


REGISTRY = _Registry()


def backends() -> dict[str, Backend]:
    """The installed backends by name."""
    if not REGISTRY.backends:
        REGISTRY.load()
    return REGISTRY.backends


def canonical(name: str, index: int | None = None) -> DeviceName:
    """The full name of a device that can be used here.

    Args:
        name: a backend's name, which means its first device (`"cpu"`), or a device's (`"cpu:0"`).
        index: the device's number, beside a backend's name.

    Returns:
        The device's one full name, as `Tensor.device` gives it: a str with PyTorch's `type` and `index`.

    Raises:
        DeviceError: there is no such backend, or it has no such device here.

    Example:
        >>> import spiraltorch as st
        >>> st.device("cpu"), st.device("cpu", 0).type
        ('cpu:0', 'cpu')
    """
    if index is not None:
        if ":" in name:
            raise DeviceError(f"[device] expected a backend's name beside an index, got {name!r}; leave out one number")
        name = f"{name}:{index}"
    if name in REGISTRY.devices:
        return named(name)
    kind, _, number = name.partition(":")
    full = f"{kind}:{number or 0}"
    known = backends()
    if kind not in known:
        raise DeviceError(
            f"[device] expected one of {', '.join(sorted(known))}, got {name!r}; see `spiraltorch devices`"
        )
    if full not in known[kind].devices():
        why = known[kind].reason() or f"it has {', '.join(known[kind].devices()) or 'none'}"
        raise DeviceError(f"[device] {name!r} is not available: {why}")
    return named(full)


def get(name: str) -> Device:
    """The open device of this name. Raises `DeviceError` where there is none."""
    device = REGISTRY.devices.get(name)
    return device if device is not None else REGISTRY.open(canonical(name))


@contextmanager
def host_memory(op: str) -> Iterator[None]:
    """A block that computes on the host: what NumPy cannot allocate is an `OutOfMemoryError` of the operation."""
    try:
        yield
    except MemoryError as error:
        raise OutOfMemoryError(
            f"[{op}] expected memory for the result on the host, got none: {error}; use fewer elements"
        ) from None


def require_dtype(name: str, dtype: DType) -> None:
    """Raises `DTypeError` where the device cannot hold the dtype; the message names devices that can."""
    if dtype not in get(name).target.dtypes:
        having = [
            d for kind in backends().values() for d in kind.devices() if d != name and dtype in get(d).target.dtypes
        ]
        raise DTypeError(
            f"[{name}] expected a dtype that the device supports, got {dtype.name}; cast to a supported one (float32), or use "
            f"{' or '.join(having)}"
        )


def default() -> DeviceName:
    """The device of tensors that are made without `device=`.

    Returns:
        The name given to `set_default_device`, else what `SPIRALTORCH_DEVICE` named at the first call, else `"cpu:0"`.

    Raises:
        DeviceError: `SPIRALTORCH_DEVICE` names no device that can be used here.

    Example:
        >>> import spiraltorch as st
        >>> st.default_device()
        'cpu:0'
    """
    if REGISTRY.default is None:
        set_default(os.environ.get("SPIRALTORCH_DEVICE") or "cpu")
    assert REGISTRY.default is not None
    return named(REGISTRY.default)


def set_default(name: str) -> None:
    """Changes the device of tensors that are made without `device=`, in all threads.

    Args:
        name: a device's name, as for `st.device`.

    Raises:
        DeviceError: there is no such device here.

    Example:
        >>> import spiraltorch as st
        >>> st.set_default_device("cpu:0")
        >>> st.default_device()
        'cpu:0'
    """
    full = canonical(name)
    with REGISTRY.lock:
        REGISTRY.default = full
