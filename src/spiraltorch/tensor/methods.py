"""The one table of names: which functions are methods of `Tensor`, and PyTorch's other spellings of them."""

from __future__ import annotations

from typing import Any

from . import creation, filling, operators
from .gradients import backward, hooks
from .ops import (
    activation,
    broadcasting,
    casting,
    contraction,
    diagonals,
    elementwise,
    extrema,
    gathering,
    logic,
    norms,
    reduction,
    repetition,
    scan,
    scatter,
    selection,
    shape,
    slicing,
    softmax,
    sorting,
    special,
    statistics,
    transposition,
    unary,
    unique,
)
from .tensor import Tensor
from .tracing import tracer as tracing

_METHODS: dict[Any, str] = {
    unary: "sqrt exp expm1 exp2 log log1p log2 log10 sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh erf floor ceil trunc round abs sign square reciprocal rsqrt",
    elementwise: "floor_divide remainder maximum minimum pow atan2 hypot logaddexp xlogy clip lerp",
    selection: "masked_fill nonzero",
    casting: "to",
    logic: "isnan isinf isfinite signbit copysign logical_and logical_or logical_xor logical_not isclose allclose",
    activation: "relu sigmoid gelu silu softplus",
    reduction: "sum prod mean var std any all count_nonzero",
    extrema: "amax amin argmax argmin",
    softmax: "logsumexp softmax log_softmax",
    norms: "norm",
    scan: "cumsum cumprod cummax cummin diff",
    sorting: "argsort sort topk",
    shape: "reshape squeeze unsqueeze flatten ravel unflatten view",
    transposition: "permute transpose swapaxes moveaxis",
    broadcasting: "broadcast_to expand",
    slicing: "flip roll narrow split chunk unbind unfold select",
    repetition: "tile repeat_interleave",
    diagonals: "diagonal trace tril triu",
    gathering: "take gather index_select masked_select take_along_axis",
    scatter: "scatter scatter_add index_add",
    unique: "unique",
    contraction: "matmul mm bmm dot outer",
    special: "erfc",
    statistics: "median quantile nansum nanmean cov",
    backward: "backward",
    hooks: "register_hook retain_grad",
}
_ALIASES: dict[str, str] = {
    "add": "__add__", "sub": "__sub__", "mul": "__mul__", "div": "__truediv__", "eq": "__eq__", "ne": "__ne__",
    "lt": "__lt__", "le": "__le__", "gt": "__gt__", "ge": "__ge__", "neg": "__neg__", "fmod": "__mod__",
    "add_": "__iadd__", "sub_": "__isub__", "mul_": "__imul__", "div_": "__itruediv__", "clamp": "clip",
    "arcsin": "asin", "arccos": "acos", "arctan": "atan", "numel": "_numel", "swapdims": "swapaxes", "t": "_t",
    "movedim": "moveaxis", "astype": "to", "type_as": "to", "to_device": "to", "equal": "_equal", "true_divide": "__truediv__", "absolute": "abs", "view_as": "_view_as",
}  # fmt: skip
_IN_PLACE = (
    "abs clamp clip copysign cos exp expm1 floor ceil index_add lerp log masked_fill neg pow reciprocal remainder relu round "
    "rsqrt scatter scatter_add sigmoid sin sqrt square tanh tril triu trunc floor_divide"
)  # `x.exp_()` is `x` after it took over the value of `x.exp()`


def _in_place(name: str) -> Any:
    own = getattr(Tensor, name)

    def update(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return x._set(own(x, *args, **kwargs))

    update.__name__ = update.__qualname__ = f"{name}_"
    update.__doc__ = f"Takes over the value of `{name}`; returns itself."
    return update


def _like(creation_name: str) -> Any:
    make: Any = creation.tensor if creation_name == "tensor" else getattr(filling, creation_name)

    def new(x: Tensor, *args: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
        made: Tensor = make(*args, dtype=dtype or x.dtype, device=device or x.device, requires_grad=requires_grad)
        return made

    new.__doc__ = f"`{creation_name}` in this dtype and on this device."
    return new


def _expand_as(x: Tensor, other: Tensor) -> Tensor:
    """Broadcast to another tensor's shape."""
    return x.broadcast_to(other.shape)  # type: ignore[no-any-return]


def _detach_in_place(x: Tensor) -> Tensor:
    """Forgets how it was computed; returns itself."""
    tracing.set_node(x, x.detach().node)
    return x


def _imatmul(x: Tensor, other: Any) -> Tensor:
    """x = x @ other, behind the same handle."""
    return x._set(contraction.matmul(x, other))


def _rdivmod(x: Tensor, other: Any) -> Any:
    return other // x, other % x


def _numel(x: Tensor) -> int:
    """The number of elements."""
    return x.size


def _t(x: Tensor) -> Tensor:
    """A matrix transposed; vectors and numbers as they are."""
    from ..errors import ShapeError

    if x.ndim > 2:
        raise ShapeError(f"[t] expected at most 2 axes, got shape {x.shape}; use .mT or .permute()")
    return x.T if x.ndim == 2 else x


def _view_as(x: Tensor, other: Tensor) -> Tensor:
    """The elements in another tensor's shape."""
    return x.reshape(other.shape)  # type: ignore[no-any-return]


def _cast_method(name: str) -> Any:
    from .. import dtypes

    wanted = getattr(dtypes, name)

    def convert(x: Tensor) -> Tensor:
        return casting.cast(x, wanted)

    convert.__doc__ = f"As {name}."
    return convert


def _plain(x: Tensor) -> Tensor:
    """The tensor itself: values are always contiguous in row-major order, and on their device."""
    return x


def _clone(x: Tensor) -> Tensor:
    """A new handle on the same value; in-place updates of either leave the other as it is."""
    from ..graph import build
    from .dispatch import see

    return Tensor(build.barrier(see(x)) if x.requires_grad else see(x))


def attach() -> None:
    """Puts the functions on the class."""
    operators.attach()
    for module, names in _METHODS.items():
        for name in names.split():
            setattr(Tensor, name, getattr(module, name))
    extra = {
        "std": _torch_std, "var": _torch_var, "max": extrema.max_method, "min": extrema.min_method, "repeat": repetition.repeat_method, "_numel": _numel,
        "_t": _t, "_view_as": _view_as, "contiguous": _plain, "cpu": _plain, "clone": _clone,
        "dim": lambda x: x.ndim, "type": casting.to, "float": _cast_method("float32"),
        "double": _cast_method("float64"), "half": _cast_method("float16"), "bfloat16": _cast_method("bfloat16"),
        "int": _cast_method("int32"), "long": _cast_method("int64"), "bool": _cast_method("bool_"),
        "new_zeros": _like("zeros"), "new_ones": _like("ones"), "new_empty": _like("empty"), "new_full": _like("full"),
        "new_tensor": _like("tensor"), "expand_as": _expand_as, "detach_": _detach_in_place, "__imatmul__": _imatmul,
        "__rdivmod__": _rdivmod, "element_size": lambda x: x.itemsize, "is_floating_point": lambda x: x.dtype.is_float,
        "is_contiguous": lambda x: True, "_equal": logic.array_equal,
        "pad": repetition.pad, "where": lambda x, c, y: selection.where(c, x, y),
    }  # fmt: skip
    for name, function in extra.items():
        setattr(Tensor, name, function)
    for name, own in _ALIASES.items():
        setattr(Tensor, name, getattr(Tensor, own))
    for name in _IN_PLACE.split():
        setattr(Tensor, f"{name}_", _in_place(name))


def _torch_var(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """As `var`; with PyTorch's `dim` or `unbiased` the divisor is PyTorch's."""
    return reduction.var(x, *args, **_corrected(kwargs))


def _torch_std(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """As `std`; with PyTorch's `dim` or `unbiased` the divisor is PyTorch's."""
    return reduction.std(x, *args, **_corrected(kwargs))


def _corrected(kwargs: dict[str, Any]) -> dict[str, Any]:
    if "unbiased" in kwargs:
        kwargs = {**kwargs, "correction": int(kwargs["unbiased"])}
        del kwargs["unbiased"]
    elif "dim" in kwargs and "correction" not in kwargs:
        kwargs = {**kwargs, "correction": 1}
    return kwargs


attach()
