"""Special functions against SciPy and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special
from tensor_helpers import close

import spiraltorch as st


@pytest.mark.parametrize(
    ("dtype", "bound"), [("float64", 1e-13), ("float32", 5e-7), ("float16", 1e-3), ("bfloat16", 8e-3)]
)
def test_erfc_keeps_its_digits_in_the_tail(dtype: str, bound: float) -> None:
    x = np.linspace(-6, {"float64": 20, "float32": 9, "float16": 2.5, "bfloat16": 9}[dtype], 501)
    x = x.astype(st.dtypes.BY_NAME[dtype].numpy)
    got = st.erfc(st.asarray(x)).numpy().astype(np.float64)
    np.testing.assert_allclose(got, scipy.special.erfc(x.astype(np.float64)), rtol=bound)


def test_erfc_at_its_ends_and_its_derivatives() -> None:
    ends = st.erfc(st.tensor([np.inf, -np.inf, 1e30, np.nan]))
    np.testing.assert_array_equal(ends.numpy(), np.float32([0, 2, 0, np.nan]))
    close(st.erfc(st.tensor([0, 1])), scipy.special.erfc(np.float32([0, 1])))
    x = np.array([-2.0, 0.0, 0.3, 5.0])
    first = st.grad(lambda x: st.erfc(x).sum())
    slope = -2 / np.sqrt(np.pi) * np.exp(-x * x)
    close(first(st.asarray(x)), slope, 1e-12)
    close(st.grad(lambda x: first(x).sum())(st.asarray(x)), -2 * x * slope, 1e-12)
