"""Special functions that are composed of others."""

from __future__ import annotations

from ...typing import ArrayLike
from ..dispatch import as_tensor
from ..tensor import Tensor
from .casting import in_float32
from .elementwise import minimum
from .selection import where
from .unary import abs, erf, exp, round

# (1 + 2z) e**(z*z) erfc(z) for z >= 0 as a Chebyshev series in (z - 3.75) / (z + 3.75), the variable of Shepherd and
# Laframboise (1981). The coefficients were fitted with 40 digits; the first twelve are enough for float32.
_CHEBYSHEV = (
    1.1775789345674017541, -4.5900545806464773309e-3, -8.4249133366517915584e-2, 5.9209939998191890498e-2,
    -2.6658668435305752277e-2, 9.0749976707052650939e-3, -2.4131635404176081909e-3, 4.9077583652580863229e-4,
    -6.9169733025012063671e-5, 4.1390279860730101675e-6, 7.7403830661984906686e-7, -2.1886401049234395661e-7,
    1.0764999465670910377e-8, 4.5219598112182868979e-9, -7.7544002088313511065e-10, -6.3180883408866844944e-11,
    2.8687950109306698981e-11, 1.945586854577734723e-13, -9.6546967484334389059e-13, 3.2525481481487398415e-14,
    3.3478119482868053878e-14, -1.8645628804193131015e-15, -1.2507950530688647085e-15, 7.418235256624043463e-17,
)  # fmt: skip
_SINGLE = 12


def erfc(x: ArrayLike) -> Tensor:
    """Computes 1 - erf(x) with full relative accuracy, also where erf(x) rounds to 1.

    Args:
        x: any shape. Integers and booleans are converted to float32.

    Returns:
        A tensor of x's shape and floating dtype.

    Example:
        >>> import spiraltorch as st
        >>> st.erfc(st.tensor([0.0, -10.0])).tolist()
        [1.0, 2.0]
    """
    x = as_tensor(x)
    if not x.dtype.is_float or x.dtype.itemsize == 2:
        return in_float32(erfc, x)
    value = x.detach()
    z = minimum(abs(value), 30.0)  # where the result is 0 in every dtype
    t = (z - 3.75) / (z + 3.75)
    series = _chebyshev(t, _CHEBYSHEV if x.dtype.itemsize == 8 else _CHEBYSHEV[:_SINGLE]) / (z * 2.0 + 1.0)
    rounded = round(z * 16.0) / 16.0  # its square is exact, which keeps the digits of e**(-z*z)
    tail = series * exp(-rounded * rounded) * exp((rounded - z) * (rounded + z))
    error = erf(value)
    result = where(z < 0.5, 1.0 - error, where(value < 0, 2.0 - tail, tail))
    return result + (error - erf(x))  # adds 0, and the derivatives of erf


def _chebyshev(t: Tensor, coefficients: tuple[float, ...]) -> Tensor:
    """The sum of c[k] T_k(t), by Clenshaw's recurrence (Clenshaw 1955)."""
    twice = t * 2.0
    second: Tensor | float = 0.0
    first: Tensor | float = 0.0
    for c in coefficients[:0:-1]:
        second, first = first, twice * first - second + c
    return t * first - second + coefficients[0]
