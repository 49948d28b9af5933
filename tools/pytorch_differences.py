"""The names whose meaning or default differs between methods, functions and PyTorch, and the page that says so.

Methods of `Tensor` follow PyTorch, functions follow the Python array API and NumPy. The tables below are all of it:
`tests/tensor/test_tensor_doors.py` evaluates each row in the libraries, and the page is written from them.

    python tools/pytorch_differences.py           writes docs/coming_from_pytorch.md
    python tools/pytorch_differences.py --check   fails where it differs
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

PATH = Path(__file__).resolve().parents[1] / "docs" / "coming_from_pytorch.md"


class Row(NamedTuple):
    """One name. `x` is a tensor of the library, of shape (3, 4); `y` another, `v` one of shape (4,), `s` a matrix (4, 4).

    Attributes:
        method: the method, which PyTorch evaluates to the same.
        means: what it gives.
        function: the function of this library.
        numpy: NumPy's function, which gives the same.
        gives: what that is.
    """

    method: str
    means: str
    function: str
    numpy: str
    gives: str


ROWS = (
    Row("x.max(1)", "values and indices", "st.max(x, axis=1)", "np.max(x, axis=1)", "values"),
    Row("x.min(1)", "values and indices", "st.min(x, axis=1)", "np.min(x, axis=1)", "values"),
    Row("x.sort(1)", "values and indices", "st.sort(x, axis=1)", "np.sort(x, axis=1)", "values"),
    Row(
        "x.cummax(1)",
        "values and indices",
        "st.cummax(x, axis=1)",
        "np.maximum.accumulate(x, axis=1)",
        "values",
    ),
    Row(
        "x.cummin(1)",
        "values and indices",
        "st.cummin(x, axis=1)",
        "np.minimum.accumulate(x, axis=1)",
        "values",
    ),
    Row("x.median()", "the lower of the middle two", "st.median(x)", "np.median(x)", "the mean of the middle two"),
    Row(
        "x.median(1)",
        "the lower of the middle two, and its index",
        "st.median(x, axis=1)",
        "np.median(x, axis=1)",
        "the mean of the middle two",
    ),
    Row("x.std()", "divides by n - 1", "st.std(x)", "np.std(x)", "divides by n"),
    Row("x.std(1)", "divides by n - 1", "st.std(x, axis=1)", "np.std(x, axis=1)", "divides by n"),
    Row("x.var()", "divides by n - 1", "st.var(x)", "np.var(x)", "divides by n"),
    Row("x.var(1)", "divides by n - 1", "st.var(x, axis=1)", "np.var(x, axis=1)", "divides by n"),
    Row("x.nonzero()", "a matrix of positions", "st.nonzero(x)", "np.nonzero(x)", "a tensor for each axis"),
    Row("x.equal(y)", "a Python bool", "st.equal(x, y)", "np.equal(x, y)", "a tensor of booleans"),
    Row("x.repeat(2, 1)", "repeats the whole tensor", "st.repeat(x, 2, 1)", "np.repeat(x, 2, 1)", "repeats elements"),
    Row("x.sum(0, True)", "`keepdim` comes second", "st.sum(x, 0)", "np.sum(x, 0)", "the dtype comes second"),
    Row("x.prod(0, True)", "`keepdim` comes second", "st.prod(x, 0)", "np.prod(x, 0)", "the dtype comes second"),
    Row("x.mean(0, True)", "`keepdim` comes second", "st.mean(x, 0)", "np.mean(x, 0)", "the dtype comes second"),
    Row("x.nansum(0, True)", "`keepdim` comes second", "st.nansum(x, 0)", "np.nansum(x, 0)", "the dtype comes second"),
    Row("x.nanmean(0, True)", "`keepdim` comes second", "st.nanmean(x, 0)", "np.nanmean(x, 0)", "the dtype comes second"),
    Row("u.sum()", "int64, also of uint8", "st.sum(u)", "np.sum(u)", "uint64 of uint8"),
    Row("u.prod()", "int64, also of uint8", "st.prod(u)", "np.prod(u)", "uint64 of uint8"),
    Row("u.cumsum(0)", "int64, also of uint8", "st.cumsum(u, axis=0)", "np.cumsum(u, axis=0)", "uint64 of uint8"),
    Row("u.cumprod(0)", "int64, also of uint8", "st.cumprod(u, axis=0)", "np.cumprod(u, axis=0)", "uint64 of uint8"),
    Row("x.diff(2)", "`n` comes first", "st.diff(x, n=1)", "np.diff(x, n=1)", "in the array API the axis comes first"),
    Row("h.unique()", "each NaN is an element", "st.unique(h)", "np.unique(h)", "all NaN are one element"),
    Row(
        "v.unique(return_counts=True)",
        "`sorted` comes first",
        "st.unique(v, True)",
        "np.unique(v, True)",
        "`return_index` comes first",
    ),
    Row("x.flip(0)", "a copy", "st.flip(x)", "np.flip(x)", "all axes by default; a view"),
    Row("b.cross(b.flip(0))", "the first axis of extent 3", "st.cross(x[:, :3], x[:, 1:])", "np.cross(x[:, :3], x[:, 1:])", "the last axis"),
    Row("x.norm(1)", "the order comes first", "st.linalg.norm(x, 1)", "np.linalg.norm(x, 1)", "the norm of a matrix"),
    Row("x.quantile(0.3)", "`interpolation=`", 'st.quantile(x, 0.3, method="lower")', 'np.quantile(x, 0.3, method="lower")', "`method=`"),
    Row("x.size()", "the shape", "st.asarray(x).size", "np.asarray(x).size", "the number of elements"),
)  # fmt: skip


class Deviation(NamedTuple):
    """A method that is not PyTorch's on purpose: an expression of a tensor `x`, and why."""

    expression: str
    reason: str


DEVIATIONS = (
    Deviation("u.all(0)", "PyTorch's is uint8 for uint8. Here it is bool for every dtype."),
    Deviation("h.sign()", "PyTorch's sign of NaN is 0. Here it is NaN, as in NumPy."),
    Deviation("str(x.device)", "Devices are numbered: `cpu:0`, not `cpu`. `x.device.type` is the same."),
    Deviation("h.int()", "Numbers that the dtype cannot hold are undefined in PyTorch. Here they become the nearest, NaN 0."),
    Deviation("i.mean()", "PyTorch refuses integers. Here their mean, variance and quantiles are float32."),
    Deviation("u.add(i[0])", "A 0-d tensor counts less than others in PyTorch's promotion. Here only numbers do, as in the array API."),
    Deviation("u.lt(-1)", "PyTorch wraps a number that the dtype cannot hold. Here comparisons are exact; other operations raise."),
    Deviation("x.clone().data_ptr() == x.data_ptr()", "Copies share memory until one is written to, and the address with it."),
    Deviation("x.type()", "PyTorch's is the name of a class. Here `type` only casts; read `x.dtype`."),
)  # fmt: skip


class Follower(NamedTuple):
    """A function that follows PyTorch although NumPy has another one of its name."""

    function: str
    numpy: str
    reason: str


FUNCTIONS = (
    Follower("st.split(x, 1, 1)", "np.split(x, 1, 1)", "takes the extent of the pieces; NumPy the number of pieces"),
    Follower(
        "st.transpose(b, 0, 1)", "np.transpose(b)", "exchanges two axes; without axes it reverses them, as in NumPy"
    ),
    Follower("st.norm(x, 1)", "np.linalg.norm(x, 1)", "norms of vectors; `st.linalg.norm` is NumPy's"),
)

# Methods of PyTorch that are left out, by the reason.
LEFT_OUT = {
    "Decompositions and solvers, which come with `st.linalg`": "cholesky cholesky_inverse cholesky_solve det eig geqrf "
    "inverse logdet lstsq lu lu_solve matrix_exp orgqr ormqr pinverse qr slogdet solve svd symeig triangular_solve",
    "Special functions and number theory": "digamma digamma_ erfinv erfinv_ frexp gcd gcd_ i0 i0_ igamma igamma_ igammac "
    "igammac_ lcm lcm_ lgamma lgamma_ mvlgamma mvlgamma_ polygamma polygamma_ nanquantile",
    "A tensor keeps its shape and memory: take the method without the underscore, and assign its result": "as_strided as_strided_ as_strided_scatter "
    "resize resize_ resize_as resize_as_ set_ squeeze_ swapaxes_ swapdims_ t_ transpose_ unsqueeze_",
    "No dtype is complex": "cdouble cfloat chalf conj_physical_ imag is_conj is_neg",
    "Sparse and nested tensors": "ccol_indices coalesce col_indices crow_indices dense_dim indices is_coalesced is_nested "
    "is_sparse is_sparse_csr resize_as_sparse_ row_indices slice_inverse smm sparse_dim sparse_mask sparse_resize_ "
    "sparse_resize_and_clear_ sspaddmm to_dense to_padded_tensor to_sparse to_sparse_bsc to_sparse_bsr to_sparse_coo "
    "to_sparse_csc to_sparse_csr values",
    "Quantised tensors": "dequantize int_repr is_quantized q_per_channel_axis q_per_channel_scales "
    "q_per_channel_zero_points q_scale q_zero_point qscheme",
    "PyTorch's storage, devices and internals": "as_subclass const_data_ptr dim_order grad_dtype grad_fn hash_tensor index ipu is_distributed is_inference "
    "is_ipu is_maia is_meta is_mkldnn is_mtia is_pinned is_set_to is_shared is_vulkan is_xla is_xpu layout module_load mtia "
    "name new new_empty_strided nonzero_static output_nr pin_memory record_stream register_post_accumulate_grad_hook "
    "reinforce share_memory_ storage storage_type to_mkldnn unsafe_chunk unsafe_split unsafe_split_with_sizes "
    "untyped_storage volatile xpu",
    "Functions of Python, element by element": "apply_ map2_ map_",
    "Functions only (`st.histogram`), or not yet there": "histogram index_reduce index_reduce_ istft stft",
}  # fmt: skip

_HEAD = """<!-- Generated by tools/pytorch_differences.py. -->

# Coming from PyTorch

Methods of `Tensor` give what PyTorch's methods give: `x.max(1)` is a pair of values and indices, `x.std()` divides by
n - 1. Functions follow the Python array API and NumPy: `st.max(x, axis=1)` gives values, `st.std(x)` divides by n.
`axis=` and `dim=` are one word, and so are `keepdims=` and `keepdim=`: whether a method or a function is called decides
the meaning, not the spelling.

```python
import spiraltorch as st

x = st.tensor([[1.0, 5.0], [3.0, 4.0]])
values, indices = x.max(dim=1)  # the same as x.max(axis=1) and x.max(1)
assert values.tolist() == st.max(x, axis=1).tolist() == [5.0, 4.0]
assert x.std(0).tolist() == st.std(x, axis=0, correction=1).tolist()
```

NumPy's own functions mean what they mean in NumPy and return NumPy arrays: `np.std(x)` divides by n. Gradients cannot pass
through NumPy. Where a tensor requires a gradient and gradients are recorded, `np.exp(x)` and `np.asarray(x)` raise, as in
PyTorch; use `st.exp(x)` or `x.detach()`. The methods `x.numpy()`, `x.item()` and `x.tolist()` read values in any case.

## Names that differ between methods and functions
`x` is a matrix, `v` a vector, `u` a tensor of uint8, `h` one that holds NaN, `b` of shape (3, 4, 3).

| method, as in PyTorch | gives | function, as in NumPy | gives |
| --- | --- | --- | --- |
"""
_FUNCTIONS = """
## Functions that follow PyTorch although NumPy has the name
| function | NumPy's | difference |
| --- | --- | --- |
"""
_DEVIATIONS = """
## Methods that differ from PyTorch's
| method | difference |
| --- | --- |
"""
_LEFT_OUT = """
## Methods that are left out
All other public methods of `torch.Tensor` are methods here.

"""


def page() -> str:
    """The text of the page."""
    rows = [f"| `{r.method}` | {r.means} | `{r.function}` | {r.gives} |\n" for r in ROWS]
    deviations = [f"| `{d.expression}` | {d.reason} |\n" for d in DEVIATIONS]
    left = [
        f"- {reason}: {', '.join(f'`{name}`' for name in sorted(names.split()))}.\n"
        for reason, names in LEFT_OUT.items()
    ]
    functions = [f"| `{f.function}` | `{f.numpy}` | {f.reason} |\n" for f in FUNCTIONS]
    return "".join([_HEAD, *rows, _FUNCTIONS, *functions, _DEVIATIONS, *deviations, _LEFT_OUT, *left])


def main() -> int:
    """Writes the page, or compares it."""
    text = page()
    if "--check" not in sys.argv[1:]:
        PATH.write_text(text, encoding="utf-8")
        return 0
    if PATH.exists() and PATH.read_text(encoding="utf-8") == text:
        return 0
    print(f"{PATH.name} differs from its tables; run: python tools/pytorch_differences.py")
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
