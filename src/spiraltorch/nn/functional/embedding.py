"""Vectors looked up by index."""

from __future__ import annotations

import spiraltorch as st

from ...tensor.tensor import Tensor


def embedding(input: Tensor, weight: Tensor, padding_idx: int | None = None) -> Tensor:
    """Looks up rows of a table.

    Args:
        input: integers in [0, V), shape (*).
        weight: the table, shape (V, D).
        padding_idx: the index of a row that gets no gradient; it may be negative.

    Returns:
        A tensor of shape (*, D) and the table's dtype.

    Raises:
        IndexOutOfRange: an index lies outside the table.
        DTypeError: `input` is not of an integer dtype.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.functional.embedding(st.tensor([1]), st.tensor([[1.0, 2.0], [3.0, 4.0]])).tolist()
        [[3.0, 4.0]]
    """
    rows = st.take(weight, input, axis=0)
    if padding_idx is None:
        return rows
    if padding_idx < 0:
        padding_idx += weight.shape[0]
    return st.where(st.unsqueeze(input == padding_idx, -1), rows.detach(), rows)
