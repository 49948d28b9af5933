"""`Optimizer`: what all optimizers share.

One call of `step` records the updates of all parameters, evaluates everything at once, so that updates can fuse with each
other and with the backward pass, and installs all new values at once: a step that is interrupted is done or not done. While a function is being
compiled nothing is evaluated, and the same handles make the recorded step replay: state, learning rate and step
count are tensors that are read and written in place.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from typing import Any, TypeAlias, TypedDict, TypeVar, cast, overload

import numpy as np

import spiraltorch as st

from ..dtypes import DType, float32
from ..errors import ArgumentError, CheckpointError, DTypeError
from ..graph.node import GRAD_MODE
from ..nn import in_place
from ..nn.state_dict import owned_tensor
from ..tensor.tensor import Tensor
from ..tensor.tracing.tracer import TRACING, record_host_state, recorder
from .param_group import ParamGroup, number_tensor

_T = TypeVar("_T")

Params: TypeAlias = Iterable[Tensor | Mapping[str, object]]
"""Parameters, or groups: dicts with an entry `params` and the settings of that group. All entries are of one kind."""

StateValue: TypeAlias = Tensor | bool | int | float | str | None
"""An entry of the state of one parameter."""


class OptimizerStateDict(TypedDict):
    """What `Optimizer.state_dict` returns, in PyTorch's structure.

    Attributes:
        state: the state of each parameter by its number; parameters are numbered across all groups.
        param_groups: the settings of each group, with the numbers of its parameters under `params`.
    """

    state: dict[int, dict[str, StateValue]]
    param_groups: list[dict[str, object]]


def at_least_float32(x: Tensor) -> Tensor:
    """The tensor in the dtype that updates are computed in."""
    return x.to(float32) if x.dtype.itemsize < 4 else x


def compute_dtype(parameter: Tensor) -> DType:
    """The dtype that updates of a parameter are computed in: at least float32."""
    return float32 if parameter.dtype.itemsize < 4 else parameter.dtype


def itself(value: float) -> float:
    """The hyperparameter as it is set."""
    return value


class Optimizer:
    """Base class of optimizers, with PyTorch's interface.

    A subclass passes its default settings and defines `_update`.

    Args:
        params: tensors of floating dtypes, or groups: dicts with an entry `params` and settings of that group.
        defaults: the settings of groups that do not give their own.

    Attributes:
        param_groups: the groups, dicts of settings. `group["lr"] = x` reaches compiled steps, too.
        state: the state of each parameter.

    Raises:
        ArgumentError: an invalid setting, no parameters, or one parameter twice.
        DTypeError: a parameter is not a tensor, or not floating.

    Example:
        >>> import spiraltorch as st
        >>> p = st.nn.Parameter(st.ones(2))
        >>> optimizer = st.optim.SGD([p], lr=0.25)
        >>> (p * p).sum().backward()
        >>> optimizer.step()
        >>> p.tolist()
        [0.5, 0.5]
    """

    step_key: str | None = "step"  # the state entry that counts steps; a name with `_` in front is not exported

    def __init__(self, params: Params, defaults: dict[str, object]) -> None:
        self.defaults = defaults
        self.state: defaultdict[Tensor, dict[str, StateValue]] = defaultdict(dict)
        self.param_groups: list[ParamGroup] = []
        self._staged: dict[int, tuple[Tensor, Tensor]] = {}  # new values of this step, by the id of the handle
        ParamGroup(defaults, self._name, frozenset(defaults))  # the defaults are checked even if each group has its own
        if isinstance(params, Tensor):
            raise DTypeError(f"[{self._name}] expected an iterable of parameters, got one tensor; pass [tensor]")
        if not isinstance(params, Iterable):
            raise DTypeError(
                f"[{self._name}] expected an iterable of parameters, got {type(params).__name__}; pass model.parameters()"
            )
        entries: list[Any] = list(params)
        if not entries:
            raise ArgumentError(
                f"[{self._name}] expected at least one parameter, got none; pass parameters, or an iterator that is not exhausted"
            )
        if not isinstance(entries[0], Mapping):
            entries = [{"params": entries}]
        for entry in entries:
            self.add_param_group(entry)

    @property
    def _name(self) -> str:
        return type(self).__name__

    def add_param_group(self, param_group: Mapping[str, object]) -> None:
        """Adds parameters with settings of their own.

        Args:
            param_group: `params` (a tensor or several) and settings; missing settings are taken from the defaults.

        Raises:
            ArgumentError: an invalid setting, or a parameter that the optimizer already has.
            DTypeError: a parameter is not a tensor, or not floating.

        Example:
            >>> import spiraltorch as st
            >>> a, b = st.nn.Parameter(st.ones(1)), st.nn.Parameter(st.ones(1))
            >>> optimizer = st.optim.SGD([a], lr=0.1)
            >>> optimizer.add_param_group({"params": [b], "lr": 0.2})
            >>> [group["lr"] for group in optimizer.param_groups]
            [0.1, 0.2]
        """
        if not isinstance(param_group, Mapping) or "params" not in param_group:
            raise ArgumentError(f"[{self._name}] expected a dict with an entry params, got {param_group!r}; add it")
        given = param_group["params"]
        params = [given] if isinstance(given, Tensor) else list(cast("Iterable[Tensor]", given))
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
        self._create_rates(group)
        TRACING.invalidate_recordings()

    def _create_rates(self, group: ParamGroup) -> None:
        """Creates the tensors of the learning rate before anything is recorded."""
        for p in group["params"]:
            self._number(group, p, "lr")

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drops the gradients of all parameters.

        Args:
            set_to_none: whether `grad` becomes None; otherwise it is filled with zeros.

        Example:
            >>> import spiraltorch as st
            >>> p = st.nn.Parameter(st.ones(1))
            >>> optimizer = st.optim.SGD([p], lr=0.1)
            >>> (p * p).sum().backward()
            >>> optimizer.zero_grad()
            >>> p.grad is None
            True
        """
        in_place.zero_grad((p for group in self.param_groups for p in group["params"]), set_to_none)

    # The step ----------------------------------------------------------------------------------------------------------

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], _T]) -> _T: ...
    def step(self, closure: Callable[[], _T] | None = None) -> _T | None:
        """Updates all parameters that have a gradient, and the state.

        Args:
            closure: a function that computes gradients; it is called first, with gradients enabled.

        Returns:
            What `closure` returns, or None.

        Example:
            >>> import spiraltorch as st
            >>> p = st.nn.Parameter(st.ones(1))
            >>> (p * p).sum().backward()
            >>> st.optim.SGD([p], lr=0.25).step()
            >>> p.item()
            0.5
        """
        loss = None
        if closure is not None:
            with st.enable_grad():
                loss = closure()
        self._staged.clear()  # the same dict, as guards on the attributes of a user's subclass compare
        mode = GRAD_MODE.on
        GRAD_MODE.on = False  # not by `no_grad`, whose exit might be interrupted
        try:
            ready = [[p for p in group["params"] if p.grad is not None] for group in self.param_groups]
            self._count_step([p for params in ready for p in params])
            for group, params in zip(self.param_groups, ready):
                if params:
                    self._update(group, params)
            if recorder() is not None:
                for target, value in self._staged.values():
                    in_place.set_value(target, value)
            elif self._staged:
                in_place.set_values(self._staged.values())
        finally:
            GRAD_MODE.on = mode
            self._staged.clear()
        return loss

    def _update(self, group: ParamGroup, params: list[Tensor]) -> None:
        """Records the updates of those parameters of one group that have a gradient."""
        raise NotImplementedError(f"[{self._name}] expected a method `_update`, got none; define it")

    def _set(self, target: Tensor, value: Tensor) -> None:
        """Gives a parameter or a state its new value, at the end of the step and together with all others."""
        self._staged[id(target)] = target, value

    def _state_tensor(self, p: Tensor, name: str, initial: float = 0.0) -> Tensor:
        """A state of the parameter's shape and dtype. A new one has its value already, as all later ones will."""
        entries = self.state[p]
        if entries.get(name) is None:
            array = np.full(tuple(p.shape), initial, p.dtype.numpy)
            entries[name] = st.asarray(array, device=p.device)
        return cast(Tensor, entries[name])

    def _gradient(self, group: ParamGroup, p: Tensor) -> Tensor:
        """The gradient in the dtype of computation, with its sign for minimisation."""
        assert p.grad is not None  # parameters without one take no part in a step
        gradient = at_least_float32(p.grad)
        return -gradient if group["maximize"] else gradient

    def _number(
        self, group: ParamGroup, p: Tensor, name: str, transform: Callable[[Any], float] = itself
    ) -> float | Tensor:
        """`transform(group[name])` for the update of `p`; see `ParamGroup.number`."""
        return group.number(name, transform, compute_dtype(p), p.device)

    def _counter(self, p: Tensor) -> Tensor | None:
        """The number of steps of `p`, with the present one where that is counted already; None if they are not counted."""
        counter = None if self.step_key is None else cast("Tensor | None", self.state[p].get(self.step_key))
        return self._staged.get(id(counter), (None, counter))[1]

    def _count_step(self, params: list[Tensor]) -> None:
        """Counts one step. Parameters with the same history share one counter, and keep doing so."""
        if self.step_key is None:
            return
        users: dict[int, int] = defaultdict(int)
        for entries in self.state.values():
            if self.step_key in entries:
                users[id(entries[self.step_key])] += 1
        sharing: dict[str | int, list[Tensor]] = defaultdict(list)
        for p in params:
            counter = self._counter(p)
            sharing[p.device if counter is None else id(counter)].append(p)
        for members in sharing.values():
            counter = self._counter(members[0])
            if counter is None:
                counter = number_tensor(self._initial_count(members[0]), float32, members[0].device)
            elif users[id(counter)] > len(members):
                counter = counter.clone()  # the others did not take part in this step
            for p in members:
                self.state[p][self.step_key] = counter
            self._set(counter, counter + 1.0)

    def _initial_count(self, p: Tensor) -> float:
        """The number of steps before the first one that is counted."""
        return 0.0

    # State -------------------------------------------------------------------------------------------------------------

    def state_dict(self) -> OptimizerStateDict:
        """Collects state and settings.

        Returns:
            `{"state": {number: {name: tensor}}, "param_groups": [...]}`: a snapshot that later updates do not change,
            in PyTorch's structure. `st.save` stores it.

        Example:
            >>> import spiraltorch as st
            >>> p = st.nn.Parameter(st.ones(1))
            >>> optimizer = st.optim.SGD([p], lr=0.1, momentum=0.9)
            >>> (p * p).sum().backward()
            >>> optimizer.step()
            >>> optimizer.state_dict()["state"][0]["momentum_buffer"].item()
            2.0
        """
        record_host_state(f"{self._name}.state_dict")
        numbers = {id(p): n for n, p in enumerate(p for group in self.param_groups for p in group["params"])}
        state = {}
        for p, entries in self.state.items():
            exported = {name: _snapshot(value) for name, value in entries.items() if not name.startswith("_")}
            if exported:
                state[numbers[id(p)]] = exported
        groups = [
            {
                name: [numbers[id(p)] for p in value] if name == "params" else _snapshot(value)
                for name, value in group.items()
            }
            for group in self.param_groups
        ]
        return {"state": dict(sorted(state.items())), "param_groups": groups}

    def load_state_dict(self, state_dict: Mapping[str, object]) -> None:
        """Loads state and settings, cast to each parameter's dtype and moved to its device.

        Args:
            state_dict: the result of `state_dict` of an optimizer with as many groups and parameters.

        Raises:
            CheckpointError: groups, parameters or shapes do not fit; nothing is changed.

        Example:
            >>> import spiraltorch as st
            >>> a, b = st.nn.Parameter(st.ones(1)), st.nn.Parameter(st.ones(1))
            >>> first, second = st.optim.SGD([a], lr=0.1), st.optim.SGD([b], lr=0.2)
            >>> second.load_state_dict(first.state_dict())
            >>> second.param_groups[0]["lr"]
            0.1
        """
        given: Any = state_dict
        try:
            if not isinstance(given, Mapping):
                raise TypeError(type(given).__name__)
            state = {int(number): dict(entries) for number, entries in given["state"].items()}
            saved = [dict(group) for group in given["param_groups"]]
            if not all(isinstance(name, str) for entries in (*state.values(), *saved) for name in entries):
                raise TypeError("a name that is no string")
            lengths = [len(list(group["params"])) for group in saved]
        except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
            raise CheckpointError(
                f"[{self._name}.load_state_dict] expected keys state and param_groups, got something else ({error!r}); "
                "pass what state_dict() returned"
            ) from None
        own = [len(group["params"]) for group in self.param_groups]
        if lengths != own:
            raise CheckpointError(
                f"[{self._name}.load_state_dict] expected groups of {own} parameters, got {lengths}; nothing was loaded"
            )
        params = {
            number: p
            for old, group in zip(saved, self.param_groups)
            for number, p in zip(old["params"], group["params"])
        }
        counters: dict[tuple[float, str], Tensor] = {}
        loaded: dict[Tensor, dict[str, StateValue]] = {}
        for number, entries in state.items():
            if number not in params:
                raise CheckpointError(
                    f"[{self._name}.load_state_dict] expected state of known parameters, got number {number!r}; "
                    "nothing was loaded"
                )
            p = params[number]
            loaded[p] = {name: self._loaded(p, name, value, counters) for name, value in entries.items()}
        groups = [self._loaded_group(old, group) for old, group in zip(saved, self.param_groups)]
        self.state = defaultdict(dict, loaded)
        self.param_groups = groups
        for group in groups:
            self._create_rates(group)
        TRACING.invalidate_recordings()

    def _loaded(self, p: Tensor, name: str, value: Any, counters: dict[tuple[float, str], Tensor]) -> StateValue:
        """One entry of the state of `p`, as a new tensor; equal step counts share one."""
        if name == "step":
            try:
                count = float(value.item() if hasattr(value, "item") else value)
            except (TypeError, ValueError) as error:
                raise CheckpointError(
                    f"[{self._name}.load_state_dict] expected {name} as a number, got {value!r} ({error}); nothing was loaded"
                ) from None
            key = (count, p.device)
            if key not in counters:
                counters[key] = number_tensor(count, float32, p.device)
            return counters[key]
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        try:
            tensor = owned_tensor(value)
        except (TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(
                f"[{self._name}.load_state_dict] expected {name} as a tensor or a number, got {type(value).__name__} "
                f"({error}); nothing was loaded"
            ) from None
        if tuple(tensor.shape) != tuple(p.shape):
            raise CheckpointError(
                f"[{self._name}.load_state_dict] expected {name} of shape={tuple(p.shape)}, "
                f"got shape={tuple(tensor.shape)}; nothing was loaded"
            )
        return tensor.detach().to(p.dtype).to(p.device).clone()

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
    return value.detach().clone() if isinstance(value, Tensor) else deepcopy(value)
