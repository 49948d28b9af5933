"""What a recording says of the function's result: where each leaf comes from, and which leaves share elements."""

from __future__ import annotations

from typing import Any

from ...graph.node import Node
from ..aliasing import View, base_of, storage_of
from ..tensor import Tensor
from .recording import CapturedTensor, Constant, Output, OutputView, Recorder, Source


def output_views(recorder: Recorder, outputs: list[Any]) -> list[OutputView]:
    """The outputs that share elements with captured tensors or with each other."""
    views: list[OutputView] = []
    families: dict[int, list[OutputView]] = {}
    for n, x in enumerate(outputs):
        if not isinstance(x, Tensor) or id(x) in recorder.index or isinstance(family := storage_of(x), Tensor):
            continue
        alias = x._alias
        base = base_of(x)
        path = alias.path if type(alias) is View else None
        if base is not None and id(base) in recorder.index:
            views.append(OutputView(n, recorder.index[id(base)], 0, family.aval, path))
        else:
            members = families.setdefault(id(family), [])
            members.append(OutputView(n, None, len(families), family.aval, path))
    for members in families.values():
        views += members if len(members) > 1 else []
    return views


def output_of(x: Any, recorder: Recorder, sources: dict[Node, Source]) -> Output:
    """How a replay makes one leaf of the result."""
    if not isinstance(x, Tensor):
        return Constant(x)
    if id(x) in recorder.index:
        return CapturedTensor(recorder.index[id(x)])
    return sources.get(x.node, x.node)
