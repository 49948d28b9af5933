"""Recurrent layers: `RNN`, `LSTM` and `GRU`, unrolled over time, with PyTorch's state keys.

The inputs of all steps are projected by one matrix product; only the recurrent product runs step by step.
"""

from __future__ import annotations

import math
from typing import Any

from ..errors import ArgumentError, ShapeError
from . import functional as F
from . import init
from .api import Tensor, st
from .linear import new, positive
from .module import Module


class _Recurrent(Module):
    """Layers and directions; a subclass defines the step."""

    gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        owner = type(self).__name__
        positive(owner, input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        if not 0.0 <= dropout <= 1.0:
            raise ArgumentError(f"[{owner}] expected dropout in [0, 1], got {dropout}; change it")
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout, self.bidirectional = bias, batch_first, dropout, bidirectional
        rows = self.gates * hidden_size
        for layer, suffix in self._cells():
            width = input_size if layer == 0 else hidden_size * (1 + bidirectional)
            self.register_parameter(f"weight_ih_{suffix}", new(rows, width, device=device, dtype=dtype))
            self.register_parameter(f"weight_hh_{suffix}", new(rows, hidden_size, device=device, dtype=dtype))
            if bias:
                self.register_parameter(f"bias_ih_{suffix}", new(rows, device=device, dtype=dtype))
                self.register_parameter(f"bias_hh_{suffix}", new(rows, device=device, dtype=dtype))
        self.reset_parameters()

    def _cells(self) -> list[tuple[int, str]]:
        """Layer number and name suffix of every cell, in the order of the hidden states."""
        directions = ("", "_reverse") if self.bidirectional else ("",)
        return [(layer, f"l{layer}{way}") for layer in range(self.num_layers) for way in directions]

    def reset_parameters(self) -> None:
        """Draws everything from +-1/sqrt(hidden_size)."""
        bound = 1.0 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def _step(self, projected: Tensor, states: tuple[Tensor, ...], suffix: str) -> tuple[Tensor, ...]:
        """The states after one time step; the first one is the output."""
        raise NotImplementedError

    def _recur(self, hidden: Tensor, suffix: str) -> Tensor:
        """The recurrent product of one cell."""
        bias = getattr(self, f"bias_hh_{suffix}") if self.bias else None
        return F.linear(hidden, getattr(self, f"weight_hh_{suffix}"), bias)

    def _run(self, input: Tensor, initial: list[Tensor] | None, kinds: int) -> tuple[Tensor, list[Tensor]]:
        """The output and the final states, stacked over cells, of a sequence with or without a batch axis."""
        owner = type(self).__name__
        if input.ndim not in (2, 3) or input.shape[-1] != self.input_size:
            raise ShapeError(
                f"[{owner}] expected 2 or 3 axes ending in {self.input_size}, got shape={tuple(input.shape)}; "
                "change input_size or the input"
            )
        single = input.ndim == 2
        if single:
            input = input.unsqueeze(1)
            initial = initial and [state.unsqueeze(1) for state in initial]
        elif self.batch_first:
            input = input.transpose(0, 1)
        steps, batch = input.shape[:2]
        if steps == 0:
            raise ShapeError(f"[{owner}] expected at least one time step, got shape={tuple(input.shape)}; check it")
        cells = self._cells()
        shape = (len(cells), batch, self.hidden_size)
        for state in initial or ():
            if tuple(state.shape) != shape:
                raise ShapeError(
                    f"[{owner}] expected states of shape={shape}, got shape={tuple(state.shape)}; fix them"
                )
        finals: list[list[Tensor]] = [[] for _ in range(kinds)]
        outputs: list[Tensor] = []
        for number, (layer, suffix) in enumerate(cells):
            bias = getattr(self, f"bias_ih_{suffix}") if self.bias else None
            projected = F.linear(input, getattr(self, f"weight_ih_{suffix}"), bias)
            if initial is None:
                zero = st.zeros(batch, self.hidden_size, dtype=input.dtype, device=input.device)
                states: tuple[Tensor, ...] = (zero,) * kinds
            else:
                states = tuple(state[number] for state in initial)
            seen: list[Tensor] = []
            backward = suffix.endswith("_reverse")
            for time in reversed(range(steps)) if backward else range(steps):
                states = self._step(projected[time], states, suffix)
                seen.append(states[0])
            outputs.append(st.stack(seen[::-1] if backward else seen, axis=0))
            for kind, state in enumerate(states):
                finals[kind].append(state)
            if backward or not self.bidirectional:
                input = outputs[0] if len(outputs) == 1 else st.concat(outputs, axis=-1)
                outputs = []
                if layer < self.num_layers - 1:
                    input = F.dropout(input, self.dropout, self.training)
        last = [st.stack(states, axis=0) for states in finals]
        if single:
            return input.squeeze(1), [state.squeeze(1) for state in last]
        return input.transpose(0, 1) if self.batch_first else input, last

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        for name, usual in (("num_layers", 1), ("bias", True), ("batch_first", False), ("dropout", 0.0)):
            if getattr(self, name) != usual:
                text += f", {name}={getattr(self, name)}"
        return text + (", bidirectional=True" if self.bidirectional else "")


class RNN(_Recurrent):
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu.

    >>> from spiraltorch import nn, zeros
    >>> output, hidden = nn.RNN(3, 4)(zeros(5, 2, 3))
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
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ArgumentError(f"[RNN] expected nonlinearity tanh or relu, got {nonlinearity!r}; choose one")
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device, dtype)
        self.nonlinearity = nonlinearity

    def _step(self, projected: Tensor, states: tuple[Tensor, ...], suffix: str) -> tuple[Tensor, ...]:
        total = projected + self._recur(states[0], suffix)
        return (st.tanh(total) if self.nonlinearity == "tanh" else st.relu(total),)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(T, N, input_size) to (T, N, directions * hidden_size) and (layers * directions, N, hidden_size)."""
        output, states = self._run(input, None if hx is None else [hx], 1)
        return output, states[0]


class GRU(_Recurrent):
    """The gated recurrent unit, with the reset gate on the recurrent product."""

    gates = 3

    def _step(self, projected: Tensor, states: tuple[Tensor, ...], suffix: str) -> tuple[Tensor, ...]:
        size, hidden = self.hidden_size, states[0]
        recurrent = self._recur(hidden, suffix)
        reset = st.sigmoid(projected[..., :size] + recurrent[..., :size])
        update = st.sigmoid(projected[..., size : 2 * size] + recurrent[..., size : 2 * size])
        fresh = st.tanh(projected[..., 2 * size :] + reset * recurrent[..., 2 * size :])
        return (fresh + update * (hidden - fresh),)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(T, N, input_size) to (T, N, directions * hidden_size) and (layers * directions, N, hidden_size)."""
        output, states = self._run(input, None if hx is None else [hx], 1)
        return output, states[0]


class LSTM(_Recurrent):
    """The long short-term memory; its state is a pair (hidden, cell)."""

    gates = 4

    def _step(self, projected: Tensor, states: tuple[Tensor, ...], suffix: str) -> tuple[Tensor, ...]:
        size = self.hidden_size
        total = projected + self._recur(states[0], suffix)
        enter, forget, fresh, show = (total[..., part * size : (part + 1) * size] for part in range(4))
        cell = st.sigmoid(forget) * states[1] + st.sigmoid(enter) * st.tanh(fresh)
        return st.sigmoid(show) * st.tanh(cell), cell

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """(T, N, input_size) to (T, N, directions * hidden_size), and (hidden, cell) of all layers."""
        output, states = self._run(input, None if hx is None else list(hx), 2)
        return output, (states[0], states[1])
