"""Recurrent layers: `RNN`, `LSTM` and `GRU`, unrolled over time, with PyTorch's state keys.

The inputs of all steps are projected by one matrix product; only the recurrent product runs step by step.
"""

from __future__ import annotations

import math

import spiraltorch as st

from ..errors import ArgumentError, ShapeError
from ..tensor.tensor import Tensor
from ..typing import DeviceLike, DTypeLike
from . import functional as F
from . import init
from .arguments import check_positive, check_probability
from .module import Module
from .parameter import zeros_parameter


class _Recurrent(Module):
    """Base of the recurrent layers: a stack of cells in one or two directions. A subclass defines the step of a cell.

    A cell's parameters have a suffix: `_l0` in the first layer, `_l0_reverse` for the direction backwards in time.
    """

    gates = 1
    states = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: DeviceLike | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__()
        owner = type(self).__name__
        check_positive(owner, input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        check_probability(owner, "dropout", dropout)
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout, self.bidirectional = bias, batch_first, dropout, bidirectional
        rows = self.gates * hidden_size
        for layer, suffix in self._cells():
            width = input_size if layer == 0 else hidden_size * (1 + bidirectional)
            self.register_parameter(f"weight_ih_{suffix}", zeros_parameter(rows, width, device=device, dtype=dtype))
            self.register_parameter(
                f"weight_hh_{suffix}", zeros_parameter(rows, hidden_size, device=device, dtype=dtype)
            )
            if bias:
                self.register_parameter(f"bias_ih_{suffix}", zeros_parameter(rows, device=device, dtype=dtype))
                self.register_parameter(f"bias_hh_{suffix}", zeros_parameter(rows, device=device, dtype=dtype))
        self.reset_parameters()

    def _cells(self) -> list[tuple[int, str]]:
        """Layer number and name suffix of every cell, in the order of the hidden states."""
        directions = ("", "_reverse") if self.bidirectional else ("",)
        return [(layer, f"l{layer}{direction}") for layer in range(self.num_layers) for direction in directions]

    def reset_parameters(self) -> None:
        """Draws all parameters anew, uniformly from +-1/sqrt(hidden_size).

        Example:
            >>> import spiraltorch as st
            >>> layer = st.nn.GRU(3, 4)
            >>> layer.reset_parameters()
            >>> layer.weight_hh_l0.abs().max().item() <= 0.5
            True
        """
        bound = 1.0 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def _step(self, projected: Tensor, states: tuple[Tensor, ...], suffix: str) -> tuple[Tensor, ...]:
        """The states after one time step, of which the first is the output.

        Args:
            projected: the input's projection with its bias, shape (N, gates * hidden_size).
            states: the states before, each of shape (N, hidden_size).
            suffix: the suffix of the cell's parameters.
        """
        raise NotImplementedError

    def _recurrent_product(self, hidden: Tensor, suffix: str) -> Tensor:
        """The projection of the hidden state of one cell, with its bias."""
        return F.linear(hidden, getattr(self, f"weight_hh_{suffix}"), self._bias("hh", suffix))

    def _bias(self, kind: str, suffix: str) -> Tensor | None:
        bias: Tensor | None = getattr(self, f"bias_{kind}_{suffix}") if self.bias else None
        return bias

    def _run(self, input: Tensor, initial: list[Tensor] | None) -> tuple[Tensor, list[Tensor]]:
        """The output, and each kind of state stacked over the cells, of a sequence with or without a batch axis."""
        owner = type(self).__name__
        if input.ndim not in (2, 3) or input.shape[-1] != self.input_size:
            raise ShapeError(
                f"[{owner}] expected 2 or 3 axes ending in {self.input_size}, got shape={tuple(input.shape)}; "
                "change input_size or the input"
            )
        unbatched = input.ndim == 2
        if unbatched:
            input = input.unsqueeze(1)
            initial = initial and [state.unsqueeze(1) for state in initial]
        elif self.batch_first:
            input = input.transpose(0, 1)
        if input.shape[0] == 0:
            raise ShapeError(
                f"[{owner}] expected at least one time step, got shape={tuple(input.shape)}; pass a longer sequence"
            )
        shape = (len(self._cells()), input.shape[1], self.hidden_size)
        for state in initial or ():
            if tuple(state.shape) != shape:
                raise ShapeError(
                    f"[{owner}] expected states of shape={shape}, got shape={tuple(state.shape)}; reshape the states"
                )
        output, final = self._run_layers(input, initial)
        last = [st.stack([states[kind] for states in final], axis=0) for kind in range(self.states)]
        if unbatched:
            return output.squeeze(1), [state.squeeze(1) for state in last]
        return output.transpose(0, 1) if self.batch_first else output, last

    def _run_layers(self, input: Tensor, initial: list[Tensor] | None) -> tuple[Tensor, list[tuple[Tensor, ...]]]:
        """The output (T, N, directions * hidden_size) of the last layer, and the final states of every cell."""
        final: list[tuple[Tensor, ...]] = []
        directions: list[Tensor] = []
        for number, (layer, suffix) in enumerate(self._cells()):
            if initial is None:
                zero = st.zeros(input.shape[1], self.hidden_size, dtype=input.dtype, device=input.device)
                states: tuple[Tensor, ...] = (zero,) * self.states
            else:
                states = tuple([state[number] for state in initial])
            output, states = self._run_cell(input, states, suffix)
            directions.append(output)
            final.append(states)
            if len(directions) == 1 + self.bidirectional:
                input = output if len(directions) == 1 else st.concat(directions, axis=-1)
                directions = []
                if layer < self.num_layers - 1:
                    input = F.dropout(input, self.dropout, self.training)
        return input, final

    def _run_cell(self, input: Tensor, states: tuple[Tensor, ...], suffix: str) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The output (T, N, hidden_size) of one cell, and its states after the last step."""
        projected = F.linear(input, getattr(self, f"weight_ih_{suffix}"), self._bias("ih", suffix))
        backwards = suffix.endswith("_reverse")
        outputs: list[Tensor] = []
        for time in reversed(range(input.shape[0])) if backwards else range(input.shape[0]):
            states = self._step(projected[time], states, suffix)
            outputs.append(states[0])
        return st.stack(outputs[::-1] if backwards else outputs, axis=0), states

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        for name, default in (("num_layers", 1), ("bias", True), ("batch_first", False), ("dropout", 0.0)):
            if getattr(self, name) != default:
                text += f", {name}={getattr(self, name)}"
        return text + (", bidirectional=True" if self.bidirectional else "")


class RNN(_Recurrent):
    """Elman network: h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or with relu (Elman, 1990).

    Parameters are drawn uniformly from +-1/sqrt(hidden_size).

    Args:
        input_size: features of the input.
        hidden_size: features of the hidden state, H.
        num_layers: the number of layers; each reads the output of the one below.
        nonlinearity: `tanh` or `relu`.
        bias: whether there are biases.
        batch_first: whether the batch is the first axis of input and output; the states are not affected.
        dropout: the probability of dropout between layers, in training.
        bidirectional: whether a second cell of each layer runs backwards in time; then D = 2, otherwise 1.
        device: the device of the parameters.
        dtype: the parameters' floating dtype; float32 by default.

    Shape:
        input (T, N, input_size), or (N, T, input_size) with `batch_first`, or (T, input_size); output likewise with
        D * H features; hx and the final state (D * num_layers, N, H), or (D * num_layers, H).

    Raises:
        ArgumentError: a setting is invalid.

    Example:
        >>> import spiraltorch as st
        >>> output, hidden = st.nn.RNN(3, 4)(st.zeros(5, 2, 3))
        >>> output.shape, hidden.shape
        ((5, 2, 4), (1, 2, 4))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: DeviceLike | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ArgumentError(f"[RNN] expected nonlinearity tanh or relu, got {nonlinearity!r}; choose one")
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device, dtype)
        self.nonlinearity = nonlinearity

    def _step(self, projected: Tensor, states: tuple[Tensor, ...], suffix: str) -> tuple[Tensor, ...]:
        total = projected + self._recurrent_product(states[0], suffix)
        return (st.tanh(total) if self.nonlinearity == "tanh" else st.relu(total),)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Runs over a sequence.

        Args:
            input: the sequence.
            hx: the initial hidden state; zeros by default.

        Returns:
            The hidden states of the last layer at all steps, and the final hidden state of every cell.

        Raises:
            ShapeError: a shape does not fit, or there is no time step.
        """
        output, states = self._run(input, None if hx is None else [hx])
        return output, states[0]


class GRU(_Recurrent):
    """Gated recurrent unit (Cho et al., 2014), with the reset gate on the recurrent product.

    r = sigmoid(W_ir x + b_ir + W_hr h + b_hr), z = sigmoid(W_iz x + b_iz + W_hz h + b_hz),
    n = tanh(W_in x + b_in + r * (W_hn h + b_hn)), h' = (1 - z) * n + z * h.
    Parameters are drawn uniformly from +-1/sqrt(hidden_size).

    Args:
        input_size: features of the input.
        hidden_size: features of the hidden state, H.
        num_layers: the number of layers; each reads the output of the one below.
        bias: whether there are biases.
        batch_first: whether the batch is the first axis of input and output; the states are not affected.
        dropout: the probability of dropout between layers, in training.
        bidirectional: whether a second cell of each layer runs backwards in time; then D = 2, otherwise 1.
        device: the device of the parameters.
        dtype: the parameters' floating dtype; float32 by default.

    Shape:
        input (T, N, input_size), or (N, T, input_size) with `batch_first`, or (T, input_size); output likewise with
        D * H features; hx and the final state (D * num_layers, N, H), or (D * num_layers, H).

    Raises:
        ArgumentError: a setting is invalid.

    Example:
        >>> import spiraltorch as st
        >>> output, hidden = st.nn.GRU(3, 4, bidirectional=True)(st.zeros(5, 2, 3))
        >>> output.shape, hidden.shape
        ((5, 2, 8), (2, 2, 4))
    """

    gates = 3

    def _step(self, projected: Tensor, states: tuple[Tensor, ...], suffix: str) -> tuple[Tensor, ...]:
        size, hidden = self.hidden_size, states[0]
        recurrent = self._recurrent_product(hidden, suffix)
        reset = st.sigmoid(projected[..., :size] + recurrent[..., :size])
        update = st.sigmoid(projected[..., size : 2 * size] + recurrent[..., size : 2 * size])
        candidate = st.tanh(projected[..., 2 * size :] + reset * recurrent[..., 2 * size :])
        return (candidate + update * (hidden - candidate),)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Runs over a sequence.

        Args:
            input: the sequence.
            hx: the initial hidden state; zeros by default.

        Returns:
            The hidden states of the last layer at all steps, and the final hidden state of every cell.

        Raises:
            ShapeError: a shape does not fit, or there is no time step.
        """
        output, states = self._run(input, None if hx is None else [hx])
        return output, states[0]


class LSTM(_Recurrent):
    """Long short-term memory (Hochreiter and Schmidhuber, 1997; Gers et al., 2000).

    i, f, o = sigmoid(W_i* x + b_i* + W_h* h + b_h*), g = tanh(W_ig x + b_ig + W_hg h + b_hg),
    c' = f * c + i * g, h' = o * tanh(c'). Parameters are drawn uniformly from +-1/sqrt(hidden_size).

    Args:
        input_size: features of the input.
        hidden_size: features of the hidden and the cell state, H.
        num_layers: the number of layers; each reads the output of the one below.
        bias: whether there are biases.
        batch_first: whether the batch is the first axis of input and output; the states are not affected.
        dropout: the probability of dropout between layers, in training.
        bidirectional: whether a second cell of each layer runs backwards in time; then D = 2, otherwise 1.
        device: the device of the parameters.
        dtype: the parameters' floating dtype; float32 by default.

    Shape:
        input (T, N, input_size), or (N, T, input_size) with `batch_first`, or (T, input_size); output likewise with
        D * H features; hidden and cell states (D * num_layers, N, H), or (D * num_layers, H).

    Raises:
        ArgumentError: a setting is invalid.

    Example:
        >>> import spiraltorch as st
        >>> output, (hidden, cell) = st.nn.LSTM(3, 4, batch_first=True)(st.zeros(2, 5, 3))
        >>> output.shape, hidden.shape, cell.shape
        ((2, 5, 4), (1, 2, 4), (1, 2, 4))
    """

    gates = 4
    states = 2

    def _step(self, projected: Tensor, states: tuple[Tensor, ...], suffix: str) -> tuple[Tensor, ...]:
        size = self.hidden_size
        total = projected + self._recurrent_product(states[0], suffix)
        input_gate, forget_gate, candidate, output_gate = [total[..., i * size : (i + 1) * size] for i in range(4)]
        cell = st.sigmoid(forget_gate) * states[1] + st.sigmoid(input_gate) * st.tanh(candidate)
        return st.sigmoid(output_gate) * st.tanh(cell), cell

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Runs over a sequence.

        Args:
            input: the sequence.
            hx: the initial hidden and cell state; zeros by default.

        Returns:
            The hidden states of the last layer at all steps, and the final hidden and cell state of every cell.

        Raises:
            ShapeError: a shape does not fit, or there is no time step.
        """
        output, states = self._run(input, None if hx is None else list(hx))
        return output, (states[0], states[1])
