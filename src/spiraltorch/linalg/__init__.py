"""`spiraltorch.linalg`: the array API's linear algebra that needs no decomposition."""

from ..tensor.ops.contraction import cross, matmul, multi_dot, outer, tensordot, vecdot
from ..tensor.ops.diagonals import trace
from ..tensor.ops.matrix_power import matrix_power
from ..tensor.ops.norms import vector_norm
from ..tensor.ops.transposition import matrix_transpose
from .matrices import diagonal
from .norms import matrix_norm, norm

__all__ = [
    "cross", "diagonal", "matmul", "matrix_norm", "matrix_power", "matrix_transpose", "multi_dot", "norm", "outer",
    "tensordot", "trace", "vecdot", "vector_norm",
]  # fmt: skip
