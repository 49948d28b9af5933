"""PyTorch, which many tests compare with. Where it is not installed, the tests that touch it are skipped, no others.

Used as `from peers import torch`; a module that touches it while being imported is skipped as a whole.
"""

from __future__ import annotations

from typing import Any

import pytest


class _Missing:
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what collection asks of any object
            raise AttributeError(name)
        pytest.skip("torch is not installed; requirements-test.txt says how to get it", allow_module_level=True)


torch: Any
try:
    import torch
except ModuleNotFoundError as error:
    if error.name != "torch":
        raise
    torch = _Missing()
