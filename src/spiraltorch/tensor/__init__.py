"""What a user holds: tensors, and functions of them."""

from . import methods as methods  # attaches the functions to the class
from . import random as random
from .creation import asarray, from_dlpack, from_numpy, tensor
from .evaluation import eval
from .filling import empty, empty_like, full, full_like, ones, ones_like, zeros, zeros_like
from .gradients.custom import checkpoint, custom_vjp
from .gradients.jacobians import hessian, jacfwd, jacobian, jacrev
from .gradients.modes import enable_grad, is_grad_enabled, no_grad, set_grad_enabled
from .gradients.transforms import grad, jvp, value_and_grad, vjp
from .ops.activation import gelu, relu, sigmoid, silu, softplus
from .ops.adaptive_pooling import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d
from .ops.broadcasting import broadcast_arrays, broadcast_shapes, broadcast_tensors, broadcast_to
from .ops.casting import astype, cast
from .ops.contraction import bmm, cross, dot, linear, matmul, mm, multi_dot, outer, tensordot, vecdot
from .ops.convolution import conv1d, conv2d, conv3d, conv_transpose1d, conv_transpose2d, conv_transpose3d
from .ops.diagonals import diag, diagonal, trace, tril, triu
from .ops.einsum import einsum
from .ops.elementwise import (
    add,
    atan2,
    bitwise_and,
    bitwise_left_shift,
    bitwise_or,
    bitwise_right_shift,
    bitwise_xor,
    clip,
    divide,
    equal,
    floor_divide,
    greater,
    greater_equal,
    hypot,
    lerp,
    less,
    less_equal,
    logaddexp,
    maximum,
    minimum,
    multiply,
    not_equal,
    pow,
    remainder,
    subtract,
    xlogy,
)
from .ops.extrema import amax, amin, argmax, argmin, max, min
from .ops.gathering import gather, index_select, masked_select, take, take_along_axis
from .ops.joining import concat, stack
from .ops.logic import (
    allclose,
    array_equal,
    copysign,
    isclose,
    isfinite,
    isinf,
    isnan,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    nextafter,
    signbit,
)
from .ops.norms import norm, vector_norm
from .ops.pooling import avg_pool1d, avg_pool2d, avg_pool3d, max_pool1d, max_pool2d, max_pool3d
from .ops.reduction import all, any, count_nonzero, mean, prod, std, sum, var
from .ops.repetition import pad, repeat, repeat_interleave, tile
from .ops.scan import cummax, cummin, cumprod, cumsum, cumulative_prod, cumulative_sum, diff
from .ops.scatter import index_add, scatter, scatter_add
from .ops.selection import masked_fill, nonzero, where
from .ops.shape import expand_dims, flatten, ravel, reshape, squeeze, unflatten, unsqueeze
from .ops.slicing import chunk, flip, narrow, roll, select, split, unbind, unfold, unstack
from .ops.softmax import log_softmax, logsumexp, softmax
from .ops.sorting import argsort, searchsorted, sort, topk
from .ops.special import erfc
from .ops.statistics import cov, histogram, median, nanmean, nansum, quantile
from .ops.transposition import matrix_transpose, moveaxis, permute, permute_dims, swapaxes, transpose
from .ops.unary import (
    abs,
    acos,
    acosh,
    asin,
    asinh,
    atan,
    atanh,
    bitwise_invert,
    ceil,
    cos,
    cosh,
    erf,
    exp,
    exp2,
    expm1,
    floor,
    log,
    log1p,
    log2,
    log10,
    negative,
    positive,
    reciprocal,
    round,
    rsqrt,
    sign,
    sin,
    sinh,
    sqrt,
    square,
    tan,
    tanh,
    trunc,
)
from .ops.unique import unique, unique_all, unique_counts, unique_inverse, unique_values
from .random import (
    Generator,
    bernoulli,
    dropout,
    manual_seed,
    normal,
    permutation,
    rand,
    rand_like,
    randint,
    randn,
    randn_like,
    randperm,
    uniform,
)
from .ranges import arange, eye, linspace, logspace, meshgrid, one_hot
from .tensor import Tensor
from .tracing.compiled import compile

cat = concatenate = concat
clamp = clip
sub, mul, div, neg, true_divide = subtract, multiply, divide, negative, divide
eq, ne, lt, le, gt, ge = equal, not_equal, less, less_equal, greater, greater_equal
arcsin, arccos, arctan, arctan2, arcsinh, arccosh, arctanh = asin, acos, atan, atan2, asinh, acosh, atanh
mod = remainder
absolute = abs
swapdims = swapaxes
movedim = moveaxis
pi, e, inf, nan, newaxis = 3.141592653589793, 2.718281828459045, float("inf"), float("nan"), None

__all__ = [
    "Generator", "Tensor", "abs", "absolute", "acos", "acosh", "adaptive_avg_pool1d", "adaptive_avg_pool2d",
    "adaptive_avg_pool3d", "add", "all", "allclose", "amax", "amin", "any", "arange", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2",
    "arctanh", "argmax", "argmin", "argsort", "array_equal", "asarray", "asin", "asinh", "astype", "atan", "atan2",
    "atanh", "avg_pool1d", "avg_pool2d", "avg_pool3d", "bernoulli", "bitwise_and", "bitwise_invert",
    "bitwise_left_shift", "bitwise_or", "bitwise_right_shift", "bitwise_xor", "bmm", "broadcast_arrays",
    "broadcast_shapes", "broadcast_tensors", "broadcast_to", "cast", "cat", "ceil", "checkpoint", "chunk", "clamp",
    "clip", "compile", "concat", "concatenate", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d",
    "conv_transpose3d", "copysign", "cos", "cosh", "count_nonzero", "cov", "cross", "cummax", "cummin", "cumprod",
    "cumsum", "cumulative_prod", "cumulative_sum", "custom_vjp", "diag", "diagonal", "diff", "div", "divide", "dot",
    "dropout", "e", "einsum", "empty", "empty_like", "enable_grad", "eq", "equal", "erf", "erfc", "eval", "exp", "exp2",
    "expand_dims", "expm1", "eye", "flatten", "flip", "floor", "floor_divide", "from_dlpack", "from_numpy", "full",
    "full_like", "gather", "ge", "gelu", "grad", "greater", "greater_equal", "gt", "hessian", "histogram", "hypot",
    "index_add", "index_select", "inf", "is_grad_enabled", "isclose", "isfinite", "isinf", "isnan", "jacfwd",
    "jacobian", "jacrev", "jvp", "le", "lerp", "less", "less_equal", "linear", "linspace", "log", "log1p",
    "log2", "log10", "log_softmax", "logaddexp", "logical_and", "logical_not", "logical_or", "logical_xor", "logspace",
    "logsumexp", "lt", "manual_seed", "masked_fill", "masked_select", "matmul", "matrix_transpose", "max", "max_pool1d",
    "max_pool2d", "max_pool3d", "maximum", "mean", "median", "meshgrid", "min", "minimum", "mm", "mod", "moveaxis",
    "movedim", "mul", "multi_dot", "multiply", "nan", "nanmean", "nansum", "narrow", "ne", "neg", "negative", "newaxis",
    "nextafter", "no_grad", "nonzero", "norm", "normal", "not_equal", "one_hot", "ones", "ones_like", "outer", "pad",
    "permutation", "permute", "permute_dims", "pi", "positive", "pow", "prod", "quantile", "rand", "rand_like",
    "randint", "randn", "randn_like", "random", "randperm", "ravel", "reciprocal", "relu", "remainder", "repeat",
    "repeat_interleave", "reshape", "roll", "round", "rsqrt", "scatter", "scatter_add", "searchsorted", "select",
    "set_grad_enabled", "sigmoid", "sign", "signbit", "silu", "sin", "sinh", "softmax", "softplus", "sort", "split",
    "sqrt", "square", "squeeze", "stack", "std", "sub", "subtract", "sum", "swapaxes", "swapdims", "take",
    "take_along_axis", "tan", "tanh", "tensor", "tensordot", "tile", "topk", "trace", "transpose", "tril", "triu",
    "true_divide", "trunc", "unbind", "unflatten", "unfold", "uniform", "unique", "unique_all", "unique_counts",
    "unique_inverse", "unique_values", "unsqueeze", "unstack", "value_and_grad", "var", "vecdot", "vector_norm", "vjp",
    "where", "xlogy", "zeros", "zeros_like",
]  # fmt: skip
