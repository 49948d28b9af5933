"""The one table of names: which functions are methods of `Tensor`, and PyTorch's other spellings of them.

`tools/stubs.py` writes `attached.pyi` from it, which shows these methods to type checkers and editors.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from ..typing import ArrayLike, Operand
from . import creation, filling, numpy_functions, operators
from .gradients import backward, hooks
from .ops import (
    activation,
    broadcasting,
    casting,
    contraction,
    diagonals,
    division,
    elementwise,
    extrema,
    gathering,
    logic,
    matrix_power,
    numbers,
    reduction,
    repetition,
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
)
from .tensor import Tensor
from .torch_methods import (
    arithmetic,
    copies,
    facts,
    orders,
    parts,
    picking,
    placing,
    products,
    random,
    reductions,
    shapes,
)

METHODS: dict[ModuleType, str] = {
    unary: "sqrt exp expm1 exp2 log log1p log2 log10 sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh erf "
    "floor ceil trunc abs sign square reciprocal rsqrt negative",
    elementwise: "multiply floor_divide remainder maximum minimum atan2 hypot logaddexp xlogy clip lerp not_equal less "
    "less_equal greater greater_equal bitwise_and bitwise_or bitwise_xor bitwise_left_shift bitwise_right_shift",
    division: "fmod fmax fmin float_power ldexp logaddexp2",
    numbers: "nan_to_num isposinf isneginf frac deg2rad rad2deg sinc logit isreal angle",
    selection: "masked_fill",
    casting: "to astype",
    logic: "isnan isinf isfinite signbit copysign nextafter logical_and logical_or logical_xor logical_not isclose allclose",
    activation: "relu sigmoid gelu silu softplus",
    reduction: "any all count_nonzero",
    extrema: "amax amin argmax argmin",
    softmax: "logsumexp softmax log_softmax",
    sorting: "argsort",
    shape: "reshape squeeze unsqueeze flatten ravel unflatten view",
    transposition: "permute swapaxes moveaxis",
    broadcasting: "expand",
    slicing: "roll narrow chunk unbind unfold select",
    repetition: "pad tile repeat_interleave",
    diagonals: "diagonal",
    gathering: "gather index_select masked_select take_along_axis",
    scatter: "scatter_add index_add",
    contraction: "matmul mm bmm dot outer",
    matrix_power: "matrix_power",
    special: "erfc",
    statistics: "cov",
    backward: "backward",
    hooks: "register_hook retain_grad",
    facts: "numel dim element_size is_floating_point is_contiguous is_complex is_signed is_same_size is_nonzero stride "
    "storage_offset data_ptr get_device",
    copies: "positive conj contiguous cpu cuda clone detach_ flip where",
    arithmetic: "add sub div addcmul addcdiv clamp_min clamp_max pow heaviside hardshrink prelu round renorm",
    products: "addmm addmv addr addbmm baddbmm mv inner kron cross norm dist",
    reductions: "sum prod mean nansum nanmean var std max min aminmax",
    orders: "sort msort topk cumsum cumprod cummax cummin logcumsumexp diff kthvalue median nanmedian mode quantile",
    shapes: "broadcast_to expand_as view_as reshape_as t tril triu transpose swapdims trace sum_to_size adjoint fliplr flipud rot90 diag diagflat diag_embed",
    parts: "split split_with_sizes tensor_split hsplit vsplit dsplit narrow_copy",
    picking: "take take_along_dim nonzero argwhere equal unique unique_consecutive bincount histc corrcoef",
    placing: "scatter scatter_reduce index_copy index_fill index_put put masked_scatter select_scatter slice_scatter "
    "diagonal_scatter fill_diagonal_",
    random: "uniform_ normal_ log_normal_ exponential_ cauchy_ geometric_ random_ bernoulli bernoulli_ multinomial",
    filling: "new_zeros new_ones new_empty new_full",
    creation: "new_tensor",
}
# Methods that are not of their function's name.
RENAMED: dict[str, Callable[..., Any]] = {
    "repeat": repetition.repeat_method, "type": casting.to, "eq": elementwise.equal,
    "bitwise_not": unary.bitwise_invert, "__array_function__": numpy_functions.array_function,
}  # fmt: skip
# Methods without arguments and parentheses.
PROPERTIES: dict[str, Callable[[Tensor], Any]] = {
    "H": shapes.matrix_adjoint, "mH": shapes.adjoint, "real": numbers.real,
} | {f"is_{kind}": facts.device_flag(kind) for kind in facts.DEVICE_FLAGS}  # fmt: skip
# Other names of methods, in PyTorch and in NumPy.
ALIASES: dict[str, str] = {
    "subtract": "sub", "mul": "multiply", "divide": "div", "true_divide": "div", "neg": "negative",
    "ne": "not_equal", "lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal", "absolute": "abs",
    "fix": "trunc", "sgn": "sign", "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arcsinh": "asinh",
    "arccosh": "acosh", "arctanh": "atanh", "arctan2": "atan2", "clamp": "clip", "conj_physical": "conj",
    "resolve_conj": "conj", "resolve_neg": "positive", "to_device": "to", "type_as": "to",
    "movedim": "moveaxis", "ger": "outer", "vdot": "dot", "ndimension": "dim", "nelement": "numel",
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
    "acos": ("[1.0]", "", "[0.0]"),
    "acosh": ("[1.0]", "", "[0.0]"),
    "add": ("[1.0]", "2", "[3.0]"),
    "addbmm": ("[[1.0]]", "[[[2.0]]], [[[3.0]]]", "[[7.0]]"),
    "addcdiv": ("[1.0]", "[6.0], [3.0]", "[3.0]"),
    "addcmul": ("[1.0]", "[2.0], [3.0]", "[7.0]"),
    "addmm": ("[[1.0]]", "[[2.0]], [[3.0]]", "[[7.0]]"),
    "addmv": ("[1.0]", "[[2.0]], [3.0]", "[7.0]"),
    "addr": ("[[1.0]]", "[2.0], [3.0]", "[[7.0]]"),
    "asin": ("[0.0]", "", "[0.0]"),
    "asinh": ("[0.0]", "", "[0.0]"),
    "atan": ("[0.0]", "", "[0.0]"),
    "atan2": ("[0.0]", "[1.0]", "[0.0]"),
    "atanh": ("[0.0]", "", "[0.0]"),
    "baddbmm": ("[[[1.0]]]", "[[[2.0]]], [[[3.0]]]", "[[[7.0]]]"),
    "bitwise_and": ("[12, 10]", "6", "[4, 2]"),
    "bitwise_left_shift": ("[1, 3]", "2", "[4, 12]"),
    "bitwise_not": ("[0, 1]", "", "[-1, -2]"),
    "bitwise_or": ("[12, 10]", "6", "[14, 14]"),
    "bitwise_right_shift": ("[9, -8]", "1", "[4, -4]"),
    "bitwise_xor": ("[12, 10]", "6", "[10, 12]"),
    "ceil": ("[0.5, 2.0]", "", "[1.0, 2.0]"),
    "clamp_max": ("[-1.0, 2.0]", "0", "[-1.0, 0.0]"),
    "clamp_min": ("[-1.0, 2.0]", "0", "[0.0, 2.0]"),
    "clip": ("[-2.0, 0.5]", "0, 1", "[0.0, 0.5]"),
    "copysign": ("[1.0, 2.0]", "-1", "[-1.0, -2.0]"),
    "cos": ("[0.0]", "", "[1.0]"),
    "cosh": ("[0.0]", "", "[1.0]"),
    "cumprod": ("[2.0, 3.0]", "0", "[2.0, 6.0]"),
    "cumsum": ("[1.0, 2.0]", "0", "[1.0, 3.0]"),
    "deg2rad": ("[0.0]", "", "[0.0]"),
    "div": ("[3.0]", "2", "[1.5]"),
    "eq": ("[1.0, 3.0]", "3", "[0.0, 1.0]"),
    "erf": ("[0.0]", "", "[0.0]"),
    "erfc": ("[0.0]", "", "[1.0]"),
    "exp": ("[0.0]", "", "[1.0]"),
    "exp2": ("[3.0]", "", "[8.0]"),
    "expm1": ("[0.0]", "", "[0.0]"),
    "float_power": ("[3.0]", "2", "[9.0]"),
    "floor": ("[0.5, 2.0]", "", "[0.0, 2.0]"),
    "floor_divide": ("[7.0, -7.0]", "2", "[3.0, -4.0]"),
    "fmod": ("[-5.0, 5.0]", "3", "[-2.0, 2.0]"),
    "frac": ("[1.5, -1.25]", "", "[0.5, -0.25]"),
    "greater": ("[1.0, 3.0]", "3", "[0.0, 0.0]"),
    "greater_equal": ("[1.0, 3.0]", "3", "[0.0, 1.0]"),
    "heaviside": ("[-1.0, 0.0]", "[0.5]", "[0.0, 0.5]"),
    "hypot": ("[3.0]", "[4.0]", "[5.0]"),
    "index_add": ("[0.0, 1.0]", "0, [1], [2.0]", "[0.0, 3.0]"),
    "index_copy": ("[1.0, 2.0]", "0, [0], [5.0]", "[5.0, 2.0]"),
    "index_fill": ("[1.0, 2.0]", "0, [0], 5.0", "[5.0, 2.0]"),
    "index_put": ("[1.0, 2.0]", "([0],), 5.0", "[5.0, 2.0]"),
    "ldexp": ("[3.0]", "[2]", "[12.0]"),
    "lerp": ("[0.0]", "[10.0], 0.25", "[2.5]"),
    "less": ("[1.0, 3.0]", "3", "[1.0, 0.0]"),
    "less_equal": ("[1.0, 3.0]", "3", "[1.0, 1.0]"),
    "log": ("[1.0]", "", "[0.0]"),
    "log10": ("[1.0]", "", "[0.0]"),
    "log1p": ("[0.0]", "", "[0.0]"),
    "log2": ("[8.0]", "", "[3.0]"),
    "logical_and": ("[1.0, 0.0]", "[1.0]", "[1.0, 0.0]"),
    "logical_not": ("[1.0, 0.0]", "", "[0.0, 1.0]"),
    "logical_or": ("[1.0, 0.0]", "[1.0]", "[1.0, 1.0]"),
    "logical_xor": ("[1.0, 0.0]", "[1.0]", "[0.0, 1.0]"),
    "logit": ("[0.5]", "", "[0.0]"),
    "masked_fill": ("[1.0, 2.0]", "[True, False], 0.0", "[0.0, 2.0]"),
    "masked_scatter": ("[1.0, 2.0]", "[True, False], [5.0]", "[5.0, 2.0]"),
    "multiply": ("[3.0]", "2", "[6.0]"),
    "nan_to_num": ("[st.nan, 1.0]", "", "[0.0, 1.0]"),
    "negative": ("[1.0, -2.0]", "", "[-1.0, 2.0]"),
    "nextafter": ("[1.0]", "1.0", "[1.0]"),
    "not_equal": ("[1.0, 3.0]", "3", "[1.0, 0.0]"),
    "pow": ("[2.0, 3.0]", "2", "[4.0, 9.0]"),
    "put": ("[1.0, 2.0]", "[0], [5.0]", "[5.0, 2.0]"),
    "rad2deg": ("[0.0]", "", "[0.0]"),
    "reciprocal": ("[4.0]", "", "[0.25]"),
    "relu": ("[-1.0, 2.0]", "", "[0.0, 2.0]"),
    "remainder": ("[7.0, -7.0]", "3", "[1.0, 2.0]"),
    "renorm": ("[[0.0, 1.0]]", "2, 0, 5.0", "[[0.0, 1.0]]"),
    "round": ("[0.5, 1.5]", "", "[0.0, 2.0]"),
    "rsqrt": ("[4.0]", "", "[0.5]"),
    "scatter": ("[0.0, 0.0]", "0, [1], 5.0", "[0.0, 5.0]"),
    "scatter_add": ("[1.0, 1.0]", "0, [1], [2.0]", "[1.0, 3.0]"),
    "scatter_reduce": ("[1.0, 2.0]", "0, [0], [5.0], 'sum'", "[6.0, 2.0]"),
    "sigmoid": ("[0.0]", "", "[0.5]"),
    "sign": ("[-3.0, 2.0]", "", "[-1.0, 1.0]"),
    "sin": ("[0.0]", "", "[0.0]"),
    "sinc": ("[0.0]", "", "[1.0]"),
    "sinh": ("[0.0]", "", "[0.0]"),
    "sqrt": ("[4.0]", "", "[2.0]"),
    "square": ("[3.0]", "", "[9.0]"),
    "sub": ("[1.0]", "2", "[-1.0]"),
    "tan": ("[0.0]", "", "[0.0]"),
    "tanh": ("[0.0]", "", "[0.0]"),
    "tril": ("[[1.0, 2.0], [3.0, 4.0]]", "", "[[1.0, 0.0], [3.0, 4.0]]"),
    "triu": ("[[1.0, 2.0], [3.0, 4.0]]", "", "[[1.0, 2.0], [0.0, 4.0]]"),
    "trunc": ("[-1.5, 2.5]", "", "[-1.0, 2.0]"),
    "xlogy": ("[0.0]", "0.0", "[0.0]"),
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
    for name, dtype in copies.CASTS.items():
        setattr(Tensor, name, copies.cast_method(name, dtype))
    setattr(Tensor, "__imatmul__", _matmul_in_place)  # noqa: B010  # as all the others
    setattr(Tensor, "__rdivmod__", _reflected_divmod)  # noqa: B010
    for name, function in OPERATORS.items():
        method = getattr(Tensor, f"__{name}__")
        method.__doc__, method.__wrapped__ = function.__doc__, function  # for `help`
    for name, alias in ALIASES.items():
        setattr(Tensor, name, getattr(Tensor, alias))
    for name in IN_PLACE:
        setattr(Tensor, f"{name}_", _in_place(name))
    for name, alias in ALIASES.items():
        if alias in IN_PLACE:
            setattr(Tensor, f"{name}_", getattr(Tensor, f"{alias}_"))
    for name, function in PROPERTIES.items():
        setattr(Tensor, name, property(function, doc=function.__doc__))


attach()
