"""`Module`: parameters, buffers and submodules under dotted names.

Contract
- Registration order is the order of attribute assignment; `state_dict` keys are PyTorch's.
- Whatever could change what `forward` records (a new or removed member, another plain attribute, `train`, `eval`, a
  hook) moves the module epoch, by which compiled functions see that they must record again. A new value inside a
  parameter or buffer does not: its handle stays the same.
- Nothing is changed by a call that raises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ..dtypes import DType, as_dtype, bfloat16, float16, float32, float64
from ..errors import ArgumentError, DTypeError
from ..tensor.tensor import Tensor
from ..tensor.tracing.tracer import TRACING
from . import hooks, state
from .parameter import Parameter

if TYPE_CHECKING:
    from typing_extensions import Self

_MISSING = object()
_TABLES = ("_parameters", "_buffers", "_modules")
_INTERNAL = frozenset((*_TABLES, "_non_persistent", "_forward_hooks", "_forward_pre_hooks"))


class IncompatibleKeys(NamedTuple):
    """What `load_state_dict(strict=False)` could not match."""

    missing_keys: list[str]
    unexpected_keys: list[str]


class Module:
    """Base class of all layers and models, with PyTorch's interface.

    Subclasses call `super().__init__()`, assign parameters and submodules as attributes and define `forward`.

    >>> from spiraltorch import nn
    >>> class Net(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.layer = nn.Linear(3, 2)
    ...     def forward(self, x):
    ...         return self.layer(x).relu()
    >>> list(Net().state_dict())
    ['layer.weight', 'layer.bias']
    """

    training: bool
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Module | None]
    _non_persistent: set[str]
    _forward_hooks: dict[int, hooks.Hook]
    _forward_pre_hooks: dict[int, hooks.Hook]

    def __init__(self) -> None:
        self.__dict__.update(
            training=True,
            _parameters={},
            _buffers={},
            _modules={},
            _non_persistent=set(),
            _forward_hooks={},
            _forward_pre_hooks={},
        )
        TRACING.invalidate_recordings()

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The computation; every subclass defines it."""
        raise NotImplementedError(f"[{type(self).__name__}] expected a method `forward`, got none; define it")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._forward_hooks or self._forward_pre_hooks:
            return hooks.call(self, args, kwargs)
        return self.forward(*args, **kwargs)

    # Attributes ------------------------------------------------------------------------------------------------------

    def __getattr__(self, name: str) -> Any:
        members = self.__dict__
        for table in _TABLES:
            if table in members and name in members[table]:
                return members[table][name]
        raise AttributeError(f"[{type(self).__name__}] expected an attribute, got {name!r}, which it does not have")

    def __setattr__(self, name: str, value: Any) -> None:
        members = self.__dict__
        if "_parameters" not in members:
            raise AttributeError(
                f"[{type(self).__name__}] expected super().__init__() before {name!r} is assigned; call it first"
            )
        if isinstance(value, Parameter):
            self._put("_parameters", name, value)
        elif isinstance(value, Module):
            self._put("_modules", name, value)
        elif name in members["_parameters"]:
            if value is not None:
                raise DTypeError(
                    f"[{type(self).__name__}] expected a Parameter or None for {name!r}, got {type(value).__name__}; "
                    "wrap it in nn.Parameter"
                )
            self._put("_parameters", name, None)
        elif name in members["_modules"]:
            if value is not None:
                raise DTypeError(
                    f"[{type(self).__name__}] expected a Module or None for {name!r}, got {type(value).__name__}; "
                    "delete the attribute first"
                )
            self._put("_modules", name, None)
        elif name in members["_buffers"]:
            if value is not None and not isinstance(value, Tensor):
                raise DTypeError(
                    f"[{type(self).__name__}] expected a Tensor or None for the buffer {name!r}, "
                    f"got {type(value).__name__}; delete the buffer first"
                )
            self._put("_buffers", name, value)
        elif isinstance(getattr(type(self), name, None), property):
            object.__setattr__(self, name, value)
        else:
            old = members.get(name, _MISSING)
            if old is not value:
                members[name] = value
                if type(old) is not type(value) or type(value) not in (int, str) or old != value:
                    TRACING.invalidate_recordings()

    def __delattr__(self, name: str) -> None:
        for table in _TABLES:
            if name in self.__dict__[table]:
                del self.__dict__[table][name]
                self._non_persistent.discard(name)
                break
        else:
            object.__delattr__(self, name)
        TRACING.invalidate_recordings()

    def __dir__(self) -> list[str]:
        return sorted({*object.__dir__(self), *self._parameters, *self._buffers, *self._modules})

    def __setstate__(self, members: dict[str, Any]) -> None:
        self.__dict__.update(members)
        TRACING.invalidate_recordings()

    def _put(self, table: str, name: str, value: Any) -> None:
        """Registers `value` in one table and takes the name out of all others."""
        members = self.__dict__
        if members[table].get(name, _MISSING) is value:
            return
        members.pop(name, None)
        for other in _TABLES:
            if other != table and name in members[other]:
                del members[other][name]
        members[table][name] = value
        TRACING.invalidate_recordings()

    def _recorded_parts(self, names: Sequence[str]) -> list[Any]:
        """What `tensor.surroundings` follows: `forward`, submodules, hooks, attributes of these names."""
        hooked = [hook.function for hook in (*self._forward_pre_hooks.values(), *self._forward_hooks.values())]
        plain = [self.__dict__[name] for name in names if name in self.__dict__ and name not in _INTERNAL]
        return [self.forward, *self._modules.values(), *hooked, *plain]

    def _check_name(self, kind: str, name: str) -> None:
        """Raises `ArgumentError` where `name` cannot be a member's name."""
        if not isinstance(name, str) or not name or "." in name:
            raise ArgumentError(
                f"[register_{kind}] expected a non-empty name without dots, got {name!r}; choose another"
            )
        taken = any(name in self.__dict__[table] for table in _TABLES if table != f"_{kind}s")
        if taken or (hasattr(self, name) and name not in self.__dict__[f"_{kind}s"]):
            raise ArgumentError(f"[register_{kind}] expected a free name, got {name!r}, which exists; choose another")

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Adds a parameter under `name`; None reserves the name. Raises `ArgumentError` for a name in use."""
        self._check_name("parameter", name)
        if param is not None and not isinstance(param, Parameter):
            raise DTypeError(
                f"[register_parameter] expected a Parameter or None, got {type(param).__name__}; wrap it in nn.Parameter"
            )
        self._put("_parameters", name, param)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Adds a tensor that is state but not trained; `persistent=False` keeps it out of `state_dict`."""
        self._check_name("buffer", name)
        if tensor is not None and not isinstance(tensor, Tensor):
            raise DTypeError(f"[register_buffer] expected a Tensor or None, got {type(tensor).__name__}; convert it")
        self._put("_buffers", name, tensor)
        if persistent:
            self._non_persistent.discard(name)
        else:
            self._non_persistent.add(name)

    def add_module(self, name: str, module: Module | None) -> None:
        """Adds a submodule under `name`. Raises `ArgumentError` for a name in use."""
        self._check_name("module", name)
        if module is not None and not isinstance(module, Module):
            raise DTypeError(f"[add_module] expected a Module or None, got {type(module).__name__}; pass a module")
        self._put("_modules", name, module)

    register_module = add_module

    # Walks -----------------------------------------------------------------------------------------------------------

    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """Yields `(dotted name, module)` for this module and all below it, each once."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, child in self._modules.items():
            if child is not None:
                yield from child.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    def modules(self) -> Iterator[Module]:
        """Yields this module and all below it, each once."""
        for _, module in self.named_modules():
            yield module

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Yields `(name, module)` for the direct submodules, each once."""
        seen: set[Module] = set()
        for name, child in self._modules.items():
            if child is not None and child not in seen:
                seen.add(child)
                yield name, child

    def children(self) -> Iterator[Module]:
        """Yields the direct submodules, each once."""
        for _, child in self.named_children():
            yield child

    def _named_members(
        self, table: str, prefix: str, recurse: bool, remove_duplicate: bool
    ) -> Iterator[tuple[str, Any]]:
        """Yields `(dotted name, tensor)` of one table, each tensor once."""
        seen: set[int] = set()
        found = self.named_modules(None, prefix, remove_duplicate) if recurse else iter([(prefix, self)])
        for path, module in found:
            for name, value in module.__dict__[table].items():
                if value is None or id(value) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(value))
                yield (f"{path}.{name}" if path else name), value

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Yields `(dotted name, parameter)`; a shared parameter once."""
        return self._named_members("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Yields the parameters, each once."""
        for _, parameter in self.named_parameters(recurse=recurse):
            yield parameter

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Yields `(dotted name, buffer)`; a shared buffer once."""
        return self._named_members("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """Yields the buffers, each once."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def get_submodule(self, target: str) -> Module:
        """The submodule of a dotted name; `AttributeError` where there is none."""
        module: Module = self
        for name in target.split(".") if target else ():
            child = module._modules.get(name)
            if child is None:
                raise AttributeError(
                    f"[get_submodule] expected a submodule of {type(self).__name__}, got {target!r}: no {name!r}; "
                    f"there are {', '.join(module._modules) or 'none'}"
                )
            module = child
        return module

    def get_parameter(self, target: str) -> Parameter:
        """The parameter of a dotted name; `AttributeError` where there is none."""
        path, _, name = target.rpartition(".")
        parameter = self.get_submodule(path)._parameters.get(name)
        if parameter is None:
            raise AttributeError(f"[get_parameter] expected a parameter's name, got {target!r}; see named_parameters()")
        return parameter

    # Changes to the whole tree ---------------------------------------------------------------------------------------

    def apply(self, fn: Callable[[Module], Any]) -> Self:
        """Calls `fn` on every submodule and then on this module."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def train(self, mode: bool = True) -> Self:
        """Sets `training` in the whole tree."""
        for module in self.modules():
            module.training = bool(mode)
        return self

    def eval(self) -> Self:
        """Sets evaluation mode in the whole tree."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Freezes or unfreezes all parameters."""
        for parameter in self.parameters():
            if parameter.requires_grad != requires_grad:
                parameter.requires_grad_(requires_grad)
                TRACING.invalidate_recordings()
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drops all gradients, or fills them with zeros."""
        state.zero_grad(self.parameters(), set_to_none)

    def to(self, *args: Any, device: Any = None, dtype: Any = None) -> Self:
        """Moves and casts all parameters and buffers in place, as `to("cpu")`, `to(st.float16)` or `to(tensor)`.

        Only floating tensors change their dtype. Raises `DTypeError` for a dtype that is not floating.
        """
        for arg in args:
            if isinstance(arg, Tensor):
                device, dtype = arg.device, arg.dtype
            elif isinstance(arg, DType) or arg is float:
                dtype = arg
            elif arg is not None:
                device = arg
        if dtype is not None:
            dtype = as_dtype(dtype)
            if not dtype.is_float:
                raise DTypeError(
                    f"[Module.to] expected a floating dtype, got {dtype.name}; cast single tensors instead"
                )
        state.convert(self, device, dtype)
        TRACING.invalidate_recordings()
        return self

    def cpu(self) -> Self:
        """Moves everything to the CPU."""
        return self.to(device="cpu")

    def float(self) -> Self:
        """Casts floating parameters and buffers to float32."""
        return self.to(dtype=float32)

    def double(self) -> Self:
        """Casts floating parameters and buffers to float64."""
        return self.to(dtype=float64)

    def half(self) -> Self:
        """Casts floating parameters and buffers to float16."""
        return self.to(dtype=float16)

    def bfloat16(self) -> Self:
        """Casts floating parameters and buffers to bfloat16."""
        return self.to(dtype=bfloat16)

    # State -----------------------------------------------------------------------------------------------------------

    def state_dict(self, prefix: str = "") -> dict[str, Tensor]:
        """All parameters and persistent buffers by dotted name: a snapshot that later updates do not change."""
        return state.state_dict(self, prefix)

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> IncompatibleKeys:
        """Takes over values (tensors or arrays) by name, cast to each parameter's dtype and device.

        Raises `CheckpointError`, and changes nothing, when a shape differs or, if `strict`, a key is missing or
        unexpected.

        >>> from spiraltorch import nn
        >>> a, b = nn.Linear(2, 2), nn.Linear(2, 2)
        >>> a.load_state_dict(b.state_dict())
        IncompatibleKeys(missing_keys=[], unexpected_keys=[])
        """
        return IncompatibleKeys(*state.load_state_dict(self, state_dict, strict))

    # Hooks -----------------------------------------------------------------------------------------------------------

    def register_forward_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> hooks.RemovableHandle:
        """Calls `hook(module, args, output)` after `forward`; a result that is not None replaces the output."""
        return hooks.register(self._forward_hooks, hook, prepend, with_kwargs)

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> hooks.RemovableHandle:
        """Calls `hook(module, args)` before `forward`; a result that is not None replaces the arguments."""
        return hooks.register(self._forward_pre_hooks, hook, prepend, with_kwargs)

    # Text ------------------------------------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """What `repr` shows between the parentheses."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        inner = [f"({name}): " + repr(child).replace("\n", "\n  ") for name, child in self._modules.items()]
        if not inner and len(lines) <= 1:
            return f"{type(self).__name__}({extra})"
        return f"{type(self).__name__}(\n  " + "\n  ".join(lines + inner) + "\n)"
