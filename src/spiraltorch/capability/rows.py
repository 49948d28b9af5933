"""The rows and columns of the matrix, as data: what is claimed, which code the claim covers, and where it may run.

A row is either a capability, which its probes measure (`probes/<module>.py`), or a fact about installing. A column is a
backend: its label in the specification and the name of its entry point. This is the only list of backends outside
their own folders.
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

    >>> Backend.of("wgpu").label, Backend.of("cpu (DEFAULT)").entry
    ('WGPU', 'cpu')
    """

    CPU = "CPU (default)"
    WGPU = "WGPU"
    MPS = "MPS"
    CUDA = "CUDA"
    HIP = "HIP / ROCm"

    @property
    def label(self) -> str:
        """The column's head, as in the specification."""
        return self.value

    @property
    def entry(self) -> str:
        """The entry point's name, which is also the kind in `kind:0`, the extra and the folder of the evidence."""
        return self.name.lower()

    @property
    def built_in(self) -> bool:
        """Whether the backend needs no extra."""
        return self is Backend.CPU

    @property
    def exists(self) -> bool:
        """Whether this version of the package has the backend's folder."""
        return (PACKAGE / "backends" / self.entry / "__init__.py").exists()

    @classmethod
    def of(cls, which: Backend | str) -> Backend:
        """A backend by itself, its label or its entry point, in any case.

        Raises `ArgumentError` for an unknown one, with the list of the known.
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
    """A row: its identifier (files of evidence, `--row`), its label, and for a measured one the code that it covers.

    `covers` names rooms or files of the package; the backend's own code is added for each cell.
    """

    id: str
    label: str
    covers: tuple[str, ...] = ()

    @property
    def measured(self) -> bool:
        """Whether probes decide the row's cells; otherwise they are facts about installing."""
        return bool(self.covers)

    @property
    def module(self) -> str:
        """The module of `probes` that measures the row."""
        return self.id.replace("-", "_")


_TENSOR = ("dtypes.py", "tensor", "graph", "compiler", "kernels", "ir", "runtime")
_TRAINING = (*_TENSOR, "autodiff", "nn", "optim")

ROWS = (
    Row("build-flag", "Build flag"),
    Row("min-toolchain", "Min toolchain"),
    Row("tensor-ops", "Tensor ops", _TENSOR),
    Row("autodiff", "Autodiff / hypergrad", _TRAINING),
    Row("planner", "Planner & scheduler", _TENSOR),
    Row("telemetry", "Telemetry", ("telemetry", "compiler", "runtime")),
    Row("wheels", "Python wheel support", ("__init__.py", "__main__.py", "py.typed")),
    Row("autotuning", "Kernel autotuning", ("tuning", "compiler", "ir", "runtime")),
    Row("sparse", "Sparse tensor ops", ("sparse", *_TENSOR)),
    Row("quantized", "Quantized inference", ("quant", *_TENSOR, "nn")),
    Row("mixed-precision", "Mixed precision training", ("amp", *_TRAINING)),
    Row("dynamic-shapes", "Dynamic shape compilation", _TENSOR),
    Row("fusion", "Graph fusion pipeline", _TRAINING),
    Row("onnx", "ONNX export parity", ("onnx", *_TENSOR, "nn")),
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
    """A row by itself, its identifier or its label, in any case. Raises `ArgumentError` with the list of the known.

    >>> row("Tensor OPS").id
    'tensor-ops'
    """
    for r in ROWS:
        if which is r or str(which).strip().lower() in (r.id, r.label.lower()):
            return r
    raise ArgumentError(f"[capability] expected a row of {', '.join(r.id for r in ROWS)}, got {which!r}")


def fact(of: Row, backend: Backend) -> str:
    """The text of a cell in a row that is not measured.

    >>> fact(row("build-flag"), Backend.CPU)
    'none'
    """
    if of.id == "min-toolchain":
        return _TOOLCHAIN[backend]
    if backend.built_in:
        return "none"
    extra = f"spiraltorch[{backend.entry}]"
    return f"`pip install {extra}`" if backend.exists else f"`{extra}` (not published yet)"
