"""`Module`: the base class of layers and models.

Contract
- `state_dict` keys are PyTorch's: dotted attribute names in the order of registration.
- A change that could change what `forward` computes and is not a tensor's value (a member, another plain attribute,
  `train`, `eval`, a hook) invalidates the recordings of compiled functions; see `members`.
- Nothing is changed by a call that raises.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from ..dtypes import DType, as_dtype, bfloat16, float16, float32, float64
from ..errors import DTypeError
from ..tensor.tensor import Tensor
from ..tensor.tracing.tracer import TRACING
from ..typing import ArrayLike, DeviceLike, DTypeLike
from . import in_place
from .hooks import call_with_hooks
from .members import INTERNAL
from .state_dict import load_into
from .tree import ModuleTree

if TYPE_CHECKING:
    from typing import ParamSpec, Protocol, TypeVar

    from typing_extensions import Self

    _P = ParamSpec("_P")
    _R_co = TypeVar("_R_co", covariant=True)

    class _HasForward(Protocol[_P, _R_co]):
        """An object whose call has the signature of its `forward`."""

        def forward(self, *args: _P.args, **kwargs: _P.kwargs) -> _R_co: ...


class IncompatibleKeys(NamedTuple):
    """The keys that `load_state_dict(strict=False)` skipped.

    Attributes:
        missing_keys: keys of the module that the given state does not have.
        unexpected_keys: keys of the given state that the module does not have.
    """

    missing_keys: list[str]
    unexpected_keys: list[str]


class Module(ModuleTree):
    """Base class of all layers and models, with PyTorch's interface.

    Subclasses call `super().__init__()`, assign parameters and submodules as attributes and define `forward`; calling
    the module calls `forward` between its hooks. To a type checker a call has the signature of `forward`.

    Attributes:
        training: whether layers such as `Dropout` and `BatchNorm2d` behave as in training; see `train` and `eval`.

    Example:
        >>> import spiraltorch as st
        >>> class Net(st.nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.layer = st.nn.Linear(3, 2)
        ...     def forward(self, x):
        ...         return self.layer(x).relu()
        >>> list(Net().state_dict())
        ['layer.weight', 'layer.bias']
    """

    # `Any` stands for the signature of the subclass: mypy accepts every override of exactly these parameters.
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Computes the module's output; every subclass defines it.

        Args:
            *args: the arguments of the call.
            **kwargs: the keyword arguments of the call.

        Returns:
            The output of the module.

        Raises:
            NotImplementedError: the subclass does not define it.

        Example:
            >>> import spiraltorch as st
            >>> class Double(st.nn.Module):
            ...     def forward(self, x):
            ...         return x * 2
            >>> Double()(st.ones(1)).item()
            2.0
        """
        raise NotImplementedError(f"[{type(self).__name__}] expected a method `forward`, got none; define it")

    if TYPE_CHECKING:

        @property
        def __call__(self: _HasForward[_P, _R_co]) -> Callable[_P, _R_co]: ...

    else:

        def __call__(self, *args, **kwargs):
            if self._forward_hooks or self._forward_pre_hooks:
                return call_with_hooks(self, args, kwargs)
            return self.forward(*args, **kwargs)

    def _recorded_parts(self, names: Sequence[str]) -> list[object]:
        """What the guards of a compiled function follow: `forward`, submodules, hooks, attributes of these names."""
        hooked = [hook.function for hook in (*self._forward_pre_hooks.values(), *self._forward_hooks.values())]
        plain = [self.__dict__[name] for name in names if name in self.__dict__ and name not in INTERNAL]
        return [self.forward, *self._modules.values(), *hooked, *plain]

    # Changes to the whole tree -----------------------------------------------------------------------------------------

    def apply(self, fn: Callable[[Module], object]) -> Self:
        """Calls a function on every submodule and then on this module.

        Args:
            fn: called with each module; what it returns is ignored.

        Returns:
            This module.

        Example:
            >>> import spiraltorch as st
            >>> def zero_bias(module):
            ...     if isinstance(module, st.nn.Linear):
            ...         st.nn.init.zeros_(module.bias)
            >>> st.nn.Sequential(st.nn.Linear(2, 2)).apply(zero_bias)[0].bias.tolist()
            [0.0, 0.0]
        """
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def train(self, mode: bool = True) -> Self:
        """Sets `training` of this module and all below it.

        Args:
            mode: True for training, False for evaluation.

        Returns:
            This module.

        Example:
            >>> import spiraltorch as st
            >>> st.nn.Dropout(0.5).train(False).training
            False
        """
        for module in self.modules():
            module.training = bool(mode)
        return self

    def eval(self) -> Self:
        """Sets evaluation mode, as `train(False)` does.

        Returns:
            This module.

        Example:
            >>> import spiraltorch as st
            >>> st.nn.Dropout(0.5).eval()(st.ones(2)).tolist()
            [1.0, 1.0]
        """
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Freezes or unfreezes all parameters.

        Args:
            requires_grad: whether gradients are computed for them.

        Returns:
            This module.

        Example:
            >>> import spiraltorch as st
            >>> layer = st.nn.Linear(2, 2).requires_grad_(False)
            >>> layer.weight.requires_grad
            False
        """
        for parameter in self.parameters():
            if parameter.requires_grad != requires_grad:
                parameter.requires_grad_(requires_grad)
                TRACING.invalidate_recordings()
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drops the gradients of all parameters.

        Args:
            set_to_none: whether `grad` becomes None; otherwise it is filled with zeros.

        Example:
            >>> import spiraltorch as st
            >>> layer = st.nn.Linear(2, 2)
            >>> layer(st.ones(1, 2)).sum().backward()
            >>> layer.zero_grad()
            >>> layer.weight.grad is None
            True
        """
        in_place.zero_grad(self.parameters(), set_to_none)

    def to(
        self,
        *args: Tensor | DTypeLike | DeviceLike | None,
        device: DeviceLike | None = None,
        dtype: DTypeLike | None = None,
    ) -> Self:
        """Moves and casts all parameters and buffers in place, as `to("cpu")`, `to(st.float16)` or `to(tensor)`.

        Args:
            *args: a device, a dtype, or a tensor whose device and dtype are taken.
            device: the new device of parameters and buffers.
            dtype: a floating dtype; integer and boolean tensors keep theirs.

        Returns:
            This module.

        Raises:
            DTypeError: `dtype` is not floating.
            DeviceError: there is no such device.

        Example:
            >>> import spiraltorch as st
            >>> st.nn.Linear(2, 2).to(st.float16).weight.dtype
            spiraltorch.float16
        """
        for arg in args:
            if isinstance(arg, Tensor):
                device, dtype = arg.device, arg.dtype
            elif isinstance(arg, DType) or arg is float:
                dtype = arg
            elif arg is not None:
                device = cast(DeviceLike, arg)
        target_dtype = None if dtype is None else as_dtype(dtype)
        if target_dtype is not None and not target_dtype.is_float:
            raise DTypeError(
                f"[Module.to] expected a floating dtype, got {target_dtype.name}; cast single tensors instead"
            )
        tables = [table for module in self.modules() for table in (module._parameters, module._buffers)]
        in_place.convert([t for table in tables for t in table.values() if t is not None], device, target_dtype)
        TRACING.invalidate_recordings()
        return self

    def cpu(self) -> Self:
        """Moves all parameters and buffers to the CPU.

        Returns:
            This module.

        Example:
            >>> import spiraltorch as st
            >>> st.nn.Linear(2, 2).cpu().weight.device
            'cpu:0'
        """
        return self.to(device="cpu")

    def float(self) -> Self:
        """Casts floating parameters and buffers to float32.

        Returns:
            This module.

        Example:
            >>> import spiraltorch as st
            >>> st.nn.Linear(2, 2).float().weight.dtype
            spiraltorch.float32
        """
        return self.to(dtype=float32)

    def double(self) -> Self:
        """Casts floating parameters and buffers to float64.

        Returns:
            This module.

        Example:
            >>> import spiraltorch as st
            >>> st.nn.Linear(2, 2).double().weight.dtype
            spiraltorch.float64
        """
        return self.to(dtype=float64)

    def half(self) -> Self:
        """Casts floating parameters and buffers to float16.

        Returns:
            This module.

        Example:
            >>> import spiraltorch as st
            >>> st.nn.Linear(2, 2).half().weight.dtype
            spiraltorch.float16
        """
        return self.to(dtype=float16)

    def bfloat16(self) -> Self:
        """Casts floating parameters and buffers to bfloat16.

        Returns:
            This module.

        Example:
            >>> import spiraltorch as st
            >>> st.nn.Linear(2, 2).bfloat16().weight.dtype
            spiraltorch.bfloat16
        """
        return self.to(dtype=bfloat16)

    # State -------------------------------------------------------------------------------------------------------------

    def _state_tensors(self, prefix: str) -> dict[str, Tensor]:
        """The handle behind each key of the state, shared tensors under each of their names."""
        tensors: dict[str, Tensor] = {}
        for path, module in self.named_modules(remove_duplicate=False):
            dotted = f"{prefix}{path}." if path else prefix
            for name, parameter in module._parameters.items():
                if parameter is not None:
                    tensors[dotted + name] = parameter
            for name, buffer in module._buffers.items():
                if buffer is not None and name not in module._non_persistent:
                    tensors[dotted + name] = buffer
        return tensors

    def state_dict(self, prefix: str = "") -> dict[str, Tensor]:
        """Collects all parameters and persistent buffers.

        Args:
            prefix: a prefix for every key.

        Returns:
            Tensors by dotted name, which share their elements with the module's: what is written to one shows in the
            other, as in PyTorch. `copy.deepcopy` makes a snapshot of them, `st.save` stores them.

        Example:
            >>> import spiraltorch as st
            >>> list(st.nn.Linear(3, 2).state_dict())
            ['weight', 'bias']
        """
        return {key: tensor.detach() for key, tensor in self._state_tensors(prefix).items()}

    def load_state_dict(self, state_dict: Mapping[str, ArrayLike], strict: bool = True) -> IncompatibleKeys:
        """Loads values by name, cast to each parameter's dtype and moved to its device.

        Args:
            state_dict: tensors or arrays by dotted name, as `state_dict` and `st.load` return them.
            strict: whether keys that are missing or unexpected are errors.

        Returns:
            The missing and the unexpected keys.

        Raises:
            CheckpointError: a shape differs or, if `strict`, a key is missing or unexpected; nothing is changed.

        Example:
            >>> import spiraltorch as st
            >>> a, b = st.nn.Linear(2, 2), st.nn.Linear(2, 2)
            >>> a.load_state_dict(b.state_dict())
            IncompatibleKeys(missing_keys=[], unexpected_keys=[])
        """
        targets = self._state_tensors("")
        return IncompatibleKeys(*load_into(type(self).__name__, targets, state_dict, strict))
