"""The one table of names: which functions are methods of `Tensor`, and PyTorch's other spellings of them.

`tools/stubs.py` writes `attached.pyi` from it, which shows these methods to type checkers and editors.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from ..typing import ArrayLike, Operand
from . import creation, filling, operators, torch_methods
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

METHODS: dict[ModuleType, str] = {
    unary: "sqrt exp expm1 exp2 log log1p log2 log10 sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh erf "
    "floor ceil trunc round abs sign square reciprocal rsqrt",
    elementwise: "floor_divide remainder maximum minimum pow atan2 hypot logaddexp xlogy clip lerp",
    selection: "masked_fill nonzero",
    casting: "to",
    logic: "isnan isinf isfinite signbit copysign logical_and logical_or logical_xor logical_not isclose allclose",
    activation: "relu sigmoid gelu silu softplus",
    reduction: "sum prod mean any all count_nonzero",
    extrema: "amax amin argmax argmin",
    softmax: "logsumexp softmax log_softmax",
    norms: "norm",
    scan: "cumsum cumprod cummax cummin diff",
    sorting: "argsort sort topk",
    shape: "reshape squeeze unsqueeze flatten ravel unflatten view",
    transposition: "permute transpose swapaxes moveaxis",
    broadcasting: "broadcast_to expand",
    slicing: "roll narrow split chunk unbind unfold select",
    repetition: "pad tile repeat_interleave",
    diagonals: "diagonal trace tril triu",
    gathering: "take gather index_select masked_select take_along_axis",
    scatter: "scatter scatter_add index_add",
    unique: "unique",
    contraction: "matmul mm bmm dot outer",
    special: "erfc",
    statistics: "median quantile nansum nanmean cov",
    backward: "backward",
    hooks: "register_hook retain_grad",
    torch_methods: "numel dim element_size is_floating_point is_contiguous contiguous cpu clone detach_ flip where expand_as "
    "view_as t var std",
    filling: "new_zeros new_ones new_empty new_full",
    creation: "new_tensor",
}
# Methods that are not of their function's name.
RENAMED: dict[str, Callable[..., Any]] = {
    "max": extrema.max_method, "min": extrema.min_method, "repeat": repetition.repeat_method, "type": casting.to,
    "equal": logic.array_equal,
}  # fmt: skip
# Other names of methods.
ALIASES: dict[str, str] = {
    "add": "__add__", "sub": "__sub__", "mul": "__mul__", "div": "__truediv__", "true_divide": "__truediv__",
    "fmod": "__mod__", "neg": "__neg__", "eq": "__eq__", "ne": "__ne__", "lt": "__lt__", "le": "__le__", "gt": "__gt__",
    "ge": "__ge__", "add_": "__iadd__", "sub_": "__isub__", "mul_": "__imul__", "div_": "__itruediv__",
    "absolute": "abs", "arcsin": "asin", "arccos": "acos", "arctan": "atan", "astype": "to", "clamp": "clip",
    "movedim": "moveaxis", "swapdims": "swapaxes", "to_device": "to", "type_as": "to",
}  # fmt: skip
# The functions whose description and signature operators share.
OPERATORS: dict[str, Callable[..., Tensor]] = {
    "add": elementwise.add, "sub": elementwise.subtract, "mul": elementwise.multiply, "truediv": elementwise.divide,
    "floordiv": elementwise.floor_divide, "mod": elementwise.remainder, "pow": elementwise.pow,
    "and": elementwise.bitwise_and, "or": elementwise.bitwise_or, "xor": elementwise.bitwise_xor,
    "lshift": elementwise.bitwise_left_shift, "rshift": elementwise.bitwise_right_shift, "eq": elementwise.equal,
    "ne": elementwise.not_equal, "lt": elementwise.less, "le": elementwise.less_equal, "gt": elementwise.greater,
    "ge": elementwise.greater_equal, "neg": unary.negative, "matmul": contraction.matmul,
}  # fmt: skip
# Methods with an in-place variant, and an example of it: a tensor, the arguments, and the values afterwards.
IN_PLACE: dict[str, tuple[str, str, str]] = {
    "abs": ("[-1.0, 2.0]", "", "[1.0, 2.0]"),
    "add": ("[1.0]", "2", "[3.0]"),
    "sub": ("[1.0]", "2", "[-1.0]"),
    "mul": ("[3.0]", "2", "[6.0]"),
    "div": ("[3.0]", "2", "[1.5]"),
    "ceil": ("[0.5, 2.0]", "", "[1.0, 2.0]"),
    "clamp": ("[-2.0, 0.5]", "0, 1", "[0.0, 0.5]"),
    "clip": ("[-2.0, 0.5]", "0, 1", "[0.0, 0.5]"),
    "copysign": ("[1.0, 2.0]", "-1", "[-1.0, -2.0]"),
    "cos": ("[0.0]", "", "[1.0]"),
    "exp": ("[0.0]", "", "[1.0]"),
    "expm1": ("[0.0]", "", "[0.0]"),
    "floor": ("[0.5, 2.0]", "", "[0.0, 2.0]"),
    "floor_divide": ("[7.0, -7.0]", "2", "[3.0, -4.0]"),
    "index_add": ("[0.0, 1.0]", "0, [1], [2.0]", "[0.0, 3.0]"),
    "lerp": ("[0.0]", "[10.0], 0.25", "[2.5]"),
    "log": ("[1.0]", "", "[0.0]"),
    "masked_fill": ("[1.0, 2.0]", "[True, False], 0.0", "[0.0, 2.0]"),
    "neg": ("[1.0, -2.0]", "", "[-1.0, 2.0]"),
    "pow": ("[2.0, 3.0]", "2", "[4.0, 9.0]"),
    "reciprocal": ("[4.0]", "", "[0.25]"),
    "relu": ("[-1.0, 2.0]", "", "[0.0, 2.0]"),
    "remainder": ("[7.0, -7.0]", "3", "[1.0, 2.0]"),
    "round": ("[0.5, 1.5]", "", "[0.0, 2.0]"),
    "rsqrt": ("[4.0]", "", "[0.5]"),
    "scatter": ("[0.0, 0.0]", "0, [1], 5.0", "[0.0, 5.0]"),
    "scatter_add": ("[1.0, 1.0]", "0, [1], [2.0]", "[1.0, 3.0]"),
    "sigmoid": ("[0.0]", "", "[0.5]"),
    "sin": ("[0.0]", "", "[0.0]"),
    "sqrt": ("[4.0]", "", "[2.0]"),
    "square": ("[3.0]", "", "[9.0]"),
    "tanh": ("[0.0]", "", "[0.0]"),
    "tril": ("[[1.0, 2.0], [3.0, 4.0]]", "", "[[1.0, 0.0], [3.0, 4.0]]"),
    "triu": ("[[1.0, 2.0], [3.0, 4.0]]", "", "[[1.0, 2.0], [0.0, 4.0]]"),
    "trunc": ("[-1.5, 2.5]", "", "[-1.0, 2.0]"),
}
_IN_PLACE_DOC = """{summary}

    In place: `{name}_` gives the tensor the values of `{name}`, cast to its dtype.
{arguments}

    Returns:
        The tensor itself.

    Raises:
        ShapeError: the result has another shape than the tensor.
        DTypeError: the result is floating and the tensor is not.
        GradientError: the tensor is a leaf that requires a gradient, while gradients are recorded.

    Example:
        >>> import spiraltorch as st
        >>> st.tensor({values}).{name}_({call}).tolist()
        {result}
    """


def _in_place(name: str) -> Callable[..., Tensor]:
    """The in-place variant of a method: it takes over the value of the method's result."""
    method = getattr(Tensor, name)

    def update(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return x._set(method(x, *args, **kwargs))

    update.__name__ = update.__qualname__ = f"{name}_"
    update.__wrapped__ = method  # type: ignore[attr-defined]  # its signature is this one's, for `help`
    update.__doc__ = _in_place_doc(name)
    return update


def _in_place_doc(name: str) -> str:
    """The description of an in-place variant, from that of the method."""
    method = getattr(Tensor, name)
    values, call, result = IN_PLACE[name]
    summary, _, rest = (method.__doc__ or "").partition("\n")
    arguments = rest.partition("\n    Returns:")[0].rstrip()
    return _IN_PLACE_DOC.format(
        name=name, summary=summary, arguments=arguments, values=values, call=call, result=result
    )


def _matmul_in_place(x: Tensor, other: ArrayLike) -> Tensor:
    """`x @= other`: takes over the value of the product."""
    return x._set(contraction.matmul(x, other))


def _reflected_divmod(x: Tensor, other: Operand) -> tuple[Tensor, Tensor]:
    """`divmod(other, x)`."""
    return other // x, other % x  # type: ignore[return-value]  # an array leaves both to the tensor


def attach() -> None:
    """Puts the functions on the class."""
    operators.attach()
    for module, names in METHODS.items():
        for name in names.split():
            setattr(Tensor, name, getattr(module, name))
    for name, function in RENAMED.items():
        setattr(Tensor, name, function)
    for name, dtype in torch_methods.CASTS.items():
        setattr(Tensor, name, torch_methods.cast_method(name, dtype))
    setattr(Tensor, "__imatmul__", _matmul_in_place)  # noqa: B010  # as all the others
    setattr(Tensor, "__rdivmod__", _reflected_divmod)  # noqa: B010
    for name, function in OPERATORS.items():
        method = getattr(Tensor, f"__{name}__")
        method.__doc__, method.__wrapped__ = function.__doc__, function  # for `help`
    for name, alias in ALIASES.items():
        setattr(Tensor, name, getattr(Tensor, alias))
    for name in IN_PLACE:
        if not hasattr(Tensor, f"{name}_"):
            setattr(Tensor, f"{name}_", _in_place(name))
        else:  # an operator
            method = getattr(Tensor, f"{name}_")
            method.__doc__, method.__wrapped__ = _in_place_doc(name), getattr(Tensor, name)


attach()
