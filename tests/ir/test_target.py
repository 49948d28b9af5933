"""Facts of targets: what they are derived from, and that keys tell targets apart."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from spiraltorch.backends.cpu import host
from spiraltorch.backends.wgpu import adapters
from spiraltorch.dtypes import bfloat16, bool_, float16, float32, float64, int8, int64
from spiraltorch.ir.target import Target

LIMITS = {
    "max-buffer-size": 1 << 31, "max-storage-buffer-binding-size": 1 << 27, "max-storage-buffers-per-shader-stage": 8,
    "max-compute-workgroup-storage-size": 16384, "max-compute-invocations-per-workgroup": 512,
    "max-compute-workgroup-size-x": 1024, "max-compute-workgroup-size-y": 1024, "max-compute-workgroup-size-z": 64,
    "max-compute-workgroups-per-dimension": 65535,
}  # fmt: skip


class Adapter:
    """A WebGPU adapter as far as its facts go."""

    def __init__(self, limits: dict[str, int], subgroup: tuple[int, int] = (4, 128)) -> None:
        self.limits = limits
        self.info: dict[str, Any] = {"device": "a device", "backend_type": "Vulkan", "subgroup_min_size": subgroup[0]}
        self.info["subgroup_max_size"] = subgroup[1]


def test_a_plain_processor_is_the_default() -> None:
    plain = Target("plain")
    assert plain.has_vectors and not plain.has_grid and not plain.has_shared_memory and not plain.throughput_oriented
    assert [plain.lanes(d) for d in (float64, float32, float16, bfloat16, int8, bool_)] == [2, 4, 4, 4, 16, 16]
    assert replace(plain, vector_bytes=0).lanes(float32) == 1


def test_facts_of_an_adapter() -> None:
    target = adapters.target(Adapter(LIMITS), frozenset())
    assert target.has_grid and target.max_groups == (65535, 65535, 65535) and target.throughput_oriented
    assert (target.group_items, target.preferred_group_items, target.subgroup_width) == (512, 256, 0)
    assert not target.has_vectors and not target.private_scratch and not target.phases_share_launch
    assert float64 not in target.dtypes and int64 in target.dtypes and int64 not in target.native_dtypes
    assert [target.element_bytes(d) for d in (bool_, int8, float16, float32, int64)] == [4, 4, 4, 4, 8]
    assert adapters.target(Adapter(LIMITS, (32, 32)), frozenset()).subgroup_width == 32


@pytest.mark.parametrize("limit", [name for name in LIMITS if "compute" in name and not name.endswith(("-y", "-z"))])
def test_keys_tell_adapters_apart(limit: str) -> None:
    one, other = (adapters.target(Adapter({**LIMITS, limit: n}), frozenset()) for n in (128, 256))
    assert one.key != other.key


def test_keys_tell_features_and_subgroups_apart() -> None:
    targets = [adapters.target(Adapter(LIMITS), frozenset(used)) for used in ((), ("shader-f16",))]
    targets.append(adapters.target(Adapter(LIMITS, (32, 32)), frozenset()))
    assert len({target.key for target in targets}) == 3


def test_keys_tell_processors_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = host.host()
    keys = {host.target(machine, threads).key for threads in (1, 2)}
    for level, size in ((1, 48 << 10), (2, 3 << 20)):
        monkeypatch.setattr(
            host, "_cache_bytes", lambda n, other, level=level, size=size: size if n == level else other
        )
        keys.add(host.target(machine, 1).key)
    assert len(keys) == 4
