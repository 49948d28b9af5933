"""`Optimizer`: what all optimizers share.

One call of `step` records the updates of all parameters, installs them behind the parameters' handles and evaluates
everything at once, so that updates can fuse with each other and with the backward pass. While a function is being
compiled nothing is evaluated, and the same handles make the recorded step replay: state, learning rate and step
count are tensors that are read and written in place.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from typing import Any

import numpy as np

import spiraltorch as st

from ..dtypes import DType, float32
from ..errors import ArgumentError, CheckpointError, DTypeError
from ..nn import in_place
from ..nn.state_dict import owned_tensor
from ..tensor.tensor import Tensor
from ..tensor.tracing.tracer import TRACING, recorder
from .group import ParamGroup, number_tensor


def wide(x: Tensor) -> Tensor:
    """The tensor in the dtype that updates are computed in: at least float32."""
    return x.to(float32) if x.dtype.itemsize < 4 else x


def compute_dtype(parameter: Tensor) -> DType:
    """The dtype that updates of a parameter are computed in."""
    return float32 if parameter.dtype.itemsize < 4 else parameter.dtype


def same(value: Any) -> Any:
    """The number itself."""
    return value


class Optimizer:
    """Base class of optimizers, with PyTorch's interface.

    `params` is an iterable of tensors, or of dicts with an entry `params` and settings of that group. A subclass
    passes its default settings and defines `_update`. Raises `ArgumentError` for impossible settings or no
    parameters, `DTypeError` for things that are no tensors.
    """

    counter: str | None = "step"  # the state entry that counts steps; a name with `_` in front is not exported

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        self.defaults = defaults
        self.state: defaultdict[Tensor, dict[str, Any]] = defaultdict(dict)
        self.param_groups: list[ParamGroup] = []
        self._changed: list[Tensor] = []
        ParamGroup(defaults, self._name, frozenset(defaults))  # the defaults are checked even if each group has its own
        if isinstance(params, Tensor):
            raise DTypeError(f"[{self._name}] expected an iterable of parameters, got one tensor; pass [tensor]")
        entries = list(params)
        if not entries:
            raise ArgumentError(f"[{self._name}] expected at least one parameter, got none; is the iterator used up?")
        if not isinstance(entries[0], Mapping):
            entries = [{"params": entries}]
        for entry in entries:
            self.add_param_group(entry)

    @property
    def _name(self) -> str:
        return type(self).__name__

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        """Adds parameters with their own settings; what is not given comes from the defaults."""
        if not isinstance(param_group, Mapping) or "params" not in param_group:
            raise ArgumentError(f"[{self._name}] expected a dict with an entry params, got {param_group!r}; add it")
        params = param_group["params"]
        params = [params] if isinstance(params, Tensor) else list(params)
        known = {id(p) for group in self.param_groups for p in group["params"]}
        for p in params:
            if not isinstance(p, Tensor):
                raise DTypeError(f"[{self._name}] expected tensors, got {type(p).__name__}; pass model.parameters()")
            if not p.dtype.is_float:
                raise DTypeError(f"[{self._name}] expected floating parameters, got dtype={p.dtype.name}; cast them")
            if id(p) in known:
                raise ArgumentError(
                    f"[{self._name}] expected each parameter once, got one of shape={tuple(p.shape)} again; "
                    "remove the duplicate"
                )
            known.add(id(p))
        values = {**self.defaults, **param_group, "params": params}
        group = ParamGroup(values, self._name, frozenset(self.defaults))
        self.param_groups.append(group)
        self._prepare(group)
        TRACING.invalidate_recordings()

    def _prepare(self, group: ParamGroup) -> None:
        """Makes the tensors of the learning rate before anything is recorded."""
        for p in group["params"]:
            self._number(group, p, "lr")

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drops all gradients, or fills them with zeros."""
        in_place.zero_grad((p for group in self.param_groups for p in group["params"]), set_to_none)

    # The step --------------------------------------------------------------------------------------------------------

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Updates all parameters that have a gradient; returns what `closure` returns, if one is given."""
        loss = None
        if closure is not None:
            with st.enable_grad():
                loss = closure()
        self._changed = []
        try:
            with st.no_grad():
                ready = [[p for p in group["params"] if p.grad is not None] for group in self.param_groups]
                self._advance([p for params in ready for p in params])
                for group, params in zip(self.param_groups, ready):
                    if params:
                        self._update(group, params)
            if recorder() is None and self._changed:
                st.eval(*self._changed)
        finally:
            self._changed = []
        return loss

    def _update(self, group: ParamGroup, params: list[Tensor]) -> None:
        """Records the updates of one group."""
        raise NotImplementedError(f"[{self._name}] expected a method `_update`, got none; define it")

    def _put(self, target: Tensor, value: Tensor) -> None:
        """Gives a parameter or a state its new value, to be evaluated at the end of the step."""
        in_place.set_value(target, value)
        self._changed.append(target)

    def _slot(self, p: Tensor, name: str, value: float = 0.0) -> Tensor:
        """A state of the parameter's shape and dtype. A new one has its value already, as all later ones will."""
        slots = self.state[p]
        if slots.get(name) is None:
            array = np.full(tuple(p.shape), value, p.dtype.numpy)
            slots[name] = st.asarray(array, device=p.device)
        slot: Tensor = slots[name]
        return slot

    def _grad(self, group: ParamGroup, p: Tensor) -> Tensor:
        """The gradient in the dtype of computation, with its sign for minimisation."""
        assert p.grad is not None  # parameters without one take no part in a step
        grad = wide(p.grad)
        return -grad if group["maximize"] else grad

    def _number(self, group: ParamGroup, p: Tensor, name: str, function: Any = same, key: str = "") -> Any:
        """A number of the group for the update of `p`."""
        return group.number(name, function, compute_dtype(p), p.device, key)

    def _advance(self, params: list[Tensor]) -> None:
        """Counts one step. Parameters with the same history share one counter, and keep doing so."""
        if self.counter is None:
            return
        users: dict[int, int] = defaultdict(int)
        for slots in self.state.values():
            if self.counter in slots:
                users[id(slots[self.counter])] += 1
        moving: dict[Any, list[Tensor]] = defaultdict(list)
        for p in params:
            counter = self.state[p].get(self.counter)
            moving[p.device if counter is None else id(counter)].append(p)
        for members in moving.values():
            counter = self.state[members[0]].get(self.counter)
            if counter is None:
                counter = number_tensor(self._first_count(members[0]), float32, members[0].device)
            elif users[id(counter)] > len(members):
                counter = counter.detach()  # the others did not take part in this step
            for p in members:
                self.state[p][self.counter] = counter
            self._put(counter, counter + 1.0)

    def _first_count(self, p: Tensor) -> float:
        """The count of steps before the first one that is counted."""
        return 0.0

    # State -----------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """`{"state": {number: {name: tensor}}, "param_groups": [...]}`, a snapshot in PyTorch's structure."""
        numbers = {id(p): n for n, p in enumerate(p for group in self.param_groups for p in group["params"])}
        state = {}
        for p, slots in self.state.items():
            shown = {name: _snapshot(value) for name, value in slots.items() if not name.startswith("_")}
            if shown:
                state[numbers[id(p)]] = shown
        groups = [
            {
                name: [numbers[id(p)] for p in value] if name == "params" else _snapshot(value)
                for name, value in g.items()
            }
            for g in self.param_groups
        ]
        return {"state": dict(sorted(state.items())), "param_groups": groups}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Takes over state and settings, cast to each parameter's dtype and device.

        Raises `CheckpointError`, and changes nothing, when groups, parameters or shapes do not fit.
        """
        try:
            state, saved = dict(state_dict["state"]), [dict(group) for group in state_dict["param_groups"]]
            lengths = [len(group["params"]) for group in saved]
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"[{self._name}.load_state_dict] expected keys state and param_groups, got something else ({error!r}); "
                "pass what state_dict() returned"
            ) from None
        own = [len(group["params"]) for group in self.param_groups]
        if lengths != own:
            raise CheckpointError(
                f"[{self._name}.load_state_dict] expected groups of {own} parameters, got {lengths}; nothing was loaded"
            )
        pairs = {
            number: p
            for old, group in zip(saved, self.param_groups)
            for number, p in zip(old["params"], group["params"])
        }
        counters: dict[Any, Tensor] = {}
        loaded: dict[Tensor, dict[str, Any]] = {}
        for number, slots in state.items():
            if number not in pairs:
                raise CheckpointError(
                    f"[{self._name}.load_state_dict] expected state of known parameters, got number {number!r}; "
                    "nothing was loaded"
                )
            p = pairs[number]
            loaded[p] = {name: self._loaded(p, name, value, counters) for name, value in slots.items()}
        fresh = [self._loaded_group(old, group) for old, group in zip(saved, self.param_groups)]
        self.state = defaultdict(dict, loaded)
        self.param_groups = fresh
        for group in fresh:
            self._prepare(group)
        TRACING.invalidate_recordings()

    def _loaded(self, p: Tensor, name: str, value: Any, counters: dict[Any, Tensor]) -> Any:
        """One entry of the state of `p`, as a new tensor; equal counts share one."""
        if name == "step":
            count = float(value.item() if hasattr(value, "item") else value)
            key = (count, p.device)
            if key not in counters:
                counters[key] = number_tensor(count, float32, p.device)
            return counters[key]
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        given = owned_tensor(value)
        if tuple(given.shape) != tuple(p.shape):
            raise CheckpointError(
                f"[{self._name}.load_state_dict] expected {name} of shape={tuple(p.shape)}, "
                f"got shape={tuple(given.shape)}; nothing was loaded"
            )
        return given.detach().to(p.dtype).to(p.device)

    def _loaded_group(self, saved: dict[str, Any], group: ParamGroup) -> ParamGroup:
        """A group with saved settings; raises `CheckpointError` for impossible ones."""
        values = {**group, **{name: _snapshot(value) for name, value in saved.items()}, "params": group["params"]}
        values = {name: tuple(v) if isinstance(v, list) and name == "betas" else v for name, v in values.items()}
        try:
            return ParamGroup(values, self._name, group.checked)
        except ArgumentError as error:
            raise CheckpointError(f"[{self._name}.load_state_dict] {error}; nothing was loaded") from None

    def __repr__(self) -> str:
        lines = [f"{self._name} ("]
        for number, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {number}")
            lines += [f"    {name}: {value}" for name, value in sorted(group.items()) if name != "params"]
        return "\n".join([*lines, ")"])


def _snapshot(value: Any) -> Any:
    """A copy that later updates do not change."""
    return value.detach() if isinstance(value, Tensor) else deepcopy(value)
