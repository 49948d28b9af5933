"""The rows and columns of the matrix, as data: capabilities, the code that each depends on, and backends.

A row is either a capability, which its probes measure (`probes/<module>.py`), or a fact about installation. A column is
a backend: its label in the specification and the name of its entry point. This is the only list of backends outside
their own packages.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from ..errors import ArgumentError

PACKAGE = Path(__file__).resolve().parents[1]
PYTHON = "Python 3.10 or newer"


class Backend(Enum):
    """A column of the matrix; the value is its label.

    Example:
        >>> import spiraltorch as st
        >>> st.capability.Backend.of("wgpu").label, st.capability.Backend.of("cpu (DEFAULT)").entry
        ('WGPU', 'cpu')
    """

    CPU = "CPU (default)"
    WGPU = "WGPU"
    MPS = "MPS"
    CUDA = "CUDA"
    HIP = "HIP / ROCm"

    @property
    def label(self) -> str:
        """The heading of the column, as in the specification."""
        return self.value

    @property
    def entry(self) -> str:
        """The name of the entry point, which devices (`cpu:0`), the extra and the folder of evidence have as well."""
        return self.name.lower()

    @property
    def built_in(self) -> bool:
        """Whether the backend is installed without an extra."""
        return self is Backend.CPU

    @property
    def exists(self) -> bool:
        """Whether this version of the package contains the backend."""
        return (PACKAGE / "backends" / self.entry / "__init__.py").exists()

    @classmethod
    def of(cls, which: Backend | str) -> Backend:
        """Returns the backend with a name.

        Args:
            which: a backend, its label or the name of its entry point, in any case.

        Returns:
            The backend.

        Raises:
            ArgumentError: no backend has this name; the message lists the known names.
        """
        if isinstance(which, Backend):
            return which
        for backend in cls:
            if str(which).strip().lower() in (backend.label.lower(), backend.entry):
                return backend
        known = ", ".join(f"{b.label!r}" for b in cls)
        raise ArgumentError(f"[capability] expected a backend of {known}, got {which!r}; see `spiraltorch devices`")


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the matrix.

    Args:
        id: its identifier, as in `--row` and in the names of evidence files.
        label: its text in the specification.
        covers: packages and modules of `spiraltorch` that its evidence depends on; empty for facts about installation.
            The backend's own code is added for each cell.
        planned: packages that do not exist yet, and belong to `covers` as soon as they do.
    """

    id: str
    label: str
    covers: tuple[str, ...] = ()
    planned: tuple[str, ...] = ()

    @property
    def measured(self) -> bool:
        """Whether probes decide the row's cells; otherwise they are facts about installation."""
        return bool(self.covers)

    @property
    def module(self) -> str:
        """The module of `probes` with the row's probes."""
        return self.id.replace("-", "_")


_TENSOR = ("dtypes.py", "tensor", "linalg", "graph", "compiler", "kernels", "ir", "runtime")
_TRAINING = (*_TENSOR, "autodiff", "nn", "optim")

ROWS = (
    Row("build-flag", "Build flag"),
    Row("min-toolchain", "Min toolchain"),
    Row("tensor-ops", "Tensor ops", _TENSOR),
    Row("autodiff", "Autodiff / hypergrad", _TRAINING),
    Row("planner", "Planner & scheduler", (*_TENSOR, "inspection.py")),
    Row("telemetry", "Telemetry", ("telemetry", "compiler", "runtime", "inspection.py")),
    Row("wheels", "Python wheel support", ("__init__.py", "__main__.py", "py.typed")),
    Row("autotuning", "Kernel autotuning", ("tuning", "compiler", "ir", "runtime", "inspection.py")),
    Row("sparse", "Sparse tensor ops", _TENSOR, planned=("sparse",)),
    Row("quantized", "Quantized inference", (*_TENSOR, "nn"), planned=("quant",)),
    Row("mixed-precision", "Mixed precision training", _TRAINING, planned=("amp",)),
    Row("dynamic-shapes", "Dynamic shape compilation", _TENSOR),
    Row("fusion", "Graph fusion pipeline", (*_TRAINING, "inspection.py")),
    Row("onnx", "ONNX export parity", (*_TENSOR, "nn"), planned=("onnx",)),
    Row("ci", "CI coverage", ("capability/probes",)),
)

_TOOLCHAIN = {
    Backend.CPU: PYTHON,
    Backend.WGPU: f"{PYTHON} + a Vulkan, Metal or Direct3D 12 driver",
    Backend.MPS: f"{PYTHON} + macOS 14 on Apple silicon",
    Backend.CUDA: f"{PYTHON} + an NVIDIA driver for CUDA 12 (no toolkit)",
    Backend.HIP: f"{PYTHON} + the ROCm 6 runtime",
}


def row(which: Row | str) -> Row:
    """The row with an identifier or a label, in any case. Raises `ArgumentError`, which lists the known names.

    >>> row("Tensor OPS").id
    'tensor-ops'
    """
    for r in ROWS:
        if which is r or str(which).strip().lower() in (r.id, r.label.lower()):
            return r
    raise ArgumentError(f"[capability] expected a row of {', '.join(r.id for r in ROWS)}, got {which!r}; choose one")


def fact(of: Row, backend: Backend) -> str:
    """The text of a cell in a row of facts about installation.

    >>> fact(row("build-flag"), Backend.CPU)
    'none'
    """
    if of.id == "min-toolchain":
        return _TOOLCHAIN[backend]
    if backend.built_in:
        return "none"
    extra = f"spiraltorch[{backend.entry}]"
    return f"`pip install {extra}`" if backend.exists else f"`{extra}` (not published yet)"
