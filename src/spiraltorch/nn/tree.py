"""`ModuleTree`: the walks over a module, all modules below it, and their parameters and buffers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..errors import DTypeError
from ..tensor.tensor import Tensor
from .members import ModuleMembers
from .parameter import Parameter

if TYPE_CHECKING:
    from .module import Module


class ModuleTree(ModuleMembers):
    """Base of `Module`, and of nothing else: submodules, and the walks over the tree that they make."""

    _modules: dict[str, Module | None]

    def add_module(self, name: str, module: Module | None) -> None:
        """Adds a submodule under a name, as assigning it to the attribute does. Also called `register_module`.

        Args:
            name: the attribute's name, without dots.
            module: the submodule; None reserves the name.

        Raises:
            ArgumentError: the name is in use, empty, or has a dot.
            DTypeError: `module` is not a `Module`.

        Example:
            >>> import spiraltorch as st
            >>> model = st.nn.Module()
            >>> model.add_module("layer", st.nn.Linear(2, 3))
            >>> list(model.state_dict())
            ['layer.weight', 'layer.bias']
        """
        self._check_name("module", name)
        if module is not None and not isinstance(module, ModuleTree):
            raise DTypeError(f"[add_module] expected a Module or None, got {type(module).__name__}; pass a module")
        self._register("_modules", name, module)

    register_module = add_module

    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """Walks this module and all below it, parents first.

        Args:
            memo: modules that are skipped; those visited are added.
            prefix: a prefix for every name.
            remove_duplicate: whether a module that is reachable under several names is visited once.

        Yields:
            Pairs of dotted name and module; this module's own name is `prefix`.

        Example:
            >>> import spiraltorch as st
            >>> model = st.nn.Sequential(st.nn.Linear(2, 3), st.nn.ReLU())
            >>> [name for name, _ in model.named_modules()]
            ['', '0', '1']
        """
        memo = set() if memo is None else memo
        module: Module = self  # type: ignore[assignment]
        if module in memo:
            return
        if remove_duplicate:
            memo.add(module)
        yield prefix, module
        for name, child in self._modules.items():
            if child is not None:
                yield from child.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    def modules(self) -> Iterator[Module]:
        """Walks this module and all below it.

        Yields:
            Each module once, parents first.

        Example:
            >>> import spiraltorch as st
            >>> model = st.nn.Sequential(st.nn.Linear(2, 3), st.nn.ReLU())
            >>> [type(module).__name__ for module in model.modules()]
            ['Sequential', 'Linear', 'ReLU']
        """
        for _, module in self.named_modules():
            yield module

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Walks the direct submodules.

        Yields:
            Pairs of name and module, each module once.

        Example:
            >>> import spiraltorch as st
            >>> list(st.nn.Sequential(st.nn.ReLU()).named_children())
            [('0', ReLU())]
        """
        seen: set[Module] = set()
        for name, child in self._modules.items():
            if child is not None and child not in seen:
                seen.add(child)
                yield name, child

    def children(self) -> Iterator[Module]:
        """Walks the direct submodules.

        Yields:
            Each submodule once.

        Example:
            >>> import spiraltorch as st
            >>> list(st.nn.Sequential(st.nn.ReLU()).children())
            [ReLU()]
        """
        for _, child in self.named_children():
            yield child

    def _named_tensors(
        self, table: str, prefix: str, recurse: bool, remove_duplicate: bool
    ) -> Iterator[tuple[str, Any]]:
        """Pairs of dotted name and tensor of one table of every module, each tensor once."""
        seen: set[int] = set()
        modules = self.named_modules(None, prefix, remove_duplicate) if recurse else [(prefix, self)]
        for path, module in modules:
            for name, value in module.__dict__[table].items():
                if value is None or id(value) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(value))
                yield (f"{path}.{name}" if path else name), value

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Walks the parameters.

        Args:
            prefix: a prefix for every name.
            recurse: whether the parameters of submodules are included.
            remove_duplicate: whether a shared parameter is yielded once.

        Yields:
            Pairs of dotted name and parameter.

        Example:
            >>> import spiraltorch as st
            >>> [(name, p.shape) for name, p in st.nn.Linear(3, 2).named_parameters()]
            [('weight', (2, 3)), ('bias', (2,))]
        """
        return self._named_tensors("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Walks the parameters, as an optimizer takes them.

        Args:
            recurse: whether the parameters of submodules are included.

        Yields:
            Each parameter once.

        Example:
            >>> import spiraltorch as st
            >>> sum(p.size for p in st.nn.Linear(3, 2).parameters())
            8
        """
        for _, parameter in self.named_parameters(recurse=recurse):
            yield parameter

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Walks the buffers.

        Args:
            prefix: a prefix for every name.
            recurse: whether the buffers of submodules are included.
            remove_duplicate: whether a shared buffer is yielded once.

        Yields:
            Pairs of dotted name and buffer.

        Example:
            >>> import spiraltorch as st
            >>> [name for name, _ in st.nn.BatchNorm1d(2).named_buffers()]
            ['running_mean', 'running_var', 'num_batches_tracked']
        """
        return self._named_tensors("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """Walks the buffers.

        Args:
            recurse: whether the buffers of submodules are included.

        Yields:
            Each buffer once.

        Example:
            >>> import spiraltorch as st
            >>> len(list(st.nn.BatchNorm1d(2).buffers()))
            3
        """
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def get_submodule(self, target: str) -> Module:
        """Finds a submodule by its dotted name.

        Args:
            target: the name, such as `layers.0.linear`; an empty one is this module.

        Returns:
            The submodule.

        Raises:
            AttributeError: no member has that name.

        Example:
            >>> import spiraltorch as st
            >>> st.nn.Sequential(st.nn.ReLU()).get_submodule("0")
            ReLU()
        """
        module: Module = self  # type: ignore[assignment]
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
        """Finds a parameter by its dotted name.

        Args:
            target: the name, such as `layers.0.weight`.

        Returns:
            The parameter.

        Raises:
            AttributeError: no member has that name.

        Example:
            >>> import spiraltorch as st
            >>> model = st.nn.Sequential(st.nn.Linear(3, 2))
            >>> model.get_parameter("0.weight").shape
            (2, 3)
        """
        path, _, name = target.rpartition(".")
        parameter = self.get_submodule(path)._parameters.get(name)
        if parameter is None:
            raise AttributeError(f"[get_parameter] expected a parameter's name, got {target!r}; see named_parameters()")
        return parameter
