"""Records every text that the backends render, and may turn WGPU into a device that computes nothing.

Only the names below are relied on, so that commits before and after a refactoring are captured alike:
- `render`, imported in `spiraltorch.backends.cpu.device` and `spiraltorch.backends.wgpu.device`, or by their functions when
  they are called, from `spiraltorch.codegen.llvm.render` and `spiraltorch.codegen.wgsl.render`. What it returns is a
  dataclass with the text, or with dataclasses that each have one; all other fields are facts of the launch.
- For the dry run: `WgpuDevice`, `WgpuProgram.run`, `WgpuKernel._pipeline` and `adapters.loop_limit` of
  `spiraltorch.backends.wgpu`. One that is missing is a problem named in the capture, not an error.
"""

from __future__ import annotations

import importlib
import re
import threading
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from captures import Part, write_text

LANGUAGES = {"cpu": "llvm", "wgpu": "wgsl"}
_KEY = re.compile(r"\bk[0-9a-f]{40}(?=_p\d)")  # names functions in LLVM; it depends on the digest of all sources


class Recorder:
    """Stores texts under the current `label`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.label = "before the first label"
        self.part = Part()
        self._lock = threading.Lock()

    def start(self, kind: str) -> None:
        """Records what a backend renders from now on."""
        module = importlib.import_module(f"spiraltorch.backends.{kind}.device")
        if not hasattr(module, "render"):
            module = importlib.import_module(f"spiraltorch.codegen.{LANGUAGES[kind]}.render")
        render = module.render

        def recorded(kernel: Any, *args: Any, **options: Any) -> Any:
            rendered = render(kernel, *args, **options)
            text = _KEY.sub("k", f"; {kind} kernel {kernel.name}\n{spelled(rendered)}")
            with self._lock:
                self.part.texts.setdefault(self.label, []).append(write_text(self.folder, text))
            return rendered

        setattr(module, "render", recorded)  # noqa: B010

    def failed(self, reason: object) -> None:
        """Names the current label as one whose work failed."""
        self.part.problems[self.label] = " ".join(str(reason).split())[:300]

    def finish(self) -> Part:
        """What was recorded, in an order that does not depend on threads."""
        self.part.texts = {label: sorted(digests) for label, digests in sorted(self.part.texts.items())}
        return self.part

    def dry_run(self) -> None:
        """Makes WGPU render and plan as ever, but hold no memory, compile no shader and launch nothing.

        What is read from the device is 0. Kernels that a software driver could not run are rendered, too.
        """
        package = "spiraltorch.backends.wgpu"
        device, program = f"{package}.device:WgpuDevice", f"{package}.program"
        blocks = iter(range(1, 1 << 62))
        self._replace(f"{device}._block", lambda self, size: (next(blocks), None))
        self._replace(f"{device}.from_host", lambda self, array: self.allocate(array.nbytes))
        self._replace(f"{device}.to_host", lambda self, buffer, shape, dtype: np.zeros(shape, dtype))
        self._replace(f"{device}.start_read", lambda self, buffer, nbytes: None)
        self._replace(f"{program}:WgpuKernel._pipeline", lambda self, text: (None, None))
        self._replace(f"{program}:WgpuProgram.run", lambda self: None)
        self._replace(f"{package}.adapters:loop_limit", lambda adapter: 1 << 62)

    def _replace(self, path: str, function: Callable[..., Any]) -> None:
        module, _, name = path.partition(":")
        try:
            owner: Any = importlib.import_module(module)
            *outer, last = name.split(".")
            for step in outer:
                owner = getattr(owner, step)
            getattr(owner, last)
        except (ImportError, AttributeError) as error:
            self.part.problems[f"dry run of {name}"] = f"not replaced, so it really runs: {error}"
            return
        setattr(owner, last, function)


def spelled(rendered: Any) -> str:
    """The text of what `render` returned, after a line with all other fields; their names may change, so only values."""
    texts, facts = [], []
    for field in fields(rendered):
        value = getattr(rendered, field.name)
        if isinstance(value, str) and "\n" in value:
            texts.append(value)
        elif isinstance(value, (tuple, list)) and value and is_dataclass(value[0]):
            texts += map(spelled, value)
        else:
            facts.append(repr(value))
    return "\n".join([f"; launch {' '.join(facts)}", *texts])
