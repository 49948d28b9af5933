"""What WebGPU adapters have beyond WGSL's core, used and done without: both must compute the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import spiraltorch as st
from spiraltorch.backends import wgpu
from spiraltorch.backends.wgpu import adapters
from spiraltorch.codegen.wgsl.render import render
from spiraltorch.codegen.wgsl.types import Features
from spiraltorch.dtypes import bfloat16, bool_, float16, float64, int32, int64, uint64
from spiraltorch.errors import DTypeError
from spiraltorch.ir.expr import Buffer, Load, at, op
from spiraltorch.ir.stmt import Kernel, Kind, Store, loop, loop_nest
from spiraltorch.runtime import device as devices
from wgpu_devices import CORE, without_features

pytestmark = pytest.mark.skipif(not wgpu.devices(), reason=f"wgpu: {wgpu.reason()}")
BOTH = [*wgpu.devices()[:1], *without_features()]
both = pytest.mark.parametrize("where", BOTH)
RNG = np.random.default_rng(5)


class Adapter:
    """Stands for an adapter with some features under some interface."""

    def __init__(self, interface: str, *features: str) -> None:
        self.info = {"backend_type": interface}
        self.features = set(features)


def test_which_features_are_used() -> None:
    """float64 wants 64-bit integers for its bits, and Vulkan."""
    half, wide, double = "shader-f16", "shader-int64", "shader-f64"
    assert adapters.native(Adapter("Vulkan", half, wide, double, "subgroup")) == {half, wide, double}
    assert adapters.native(Adapter("Vulkan", half, double)) == {half}
    assert adapters.native(Adapter("D3D12", wide, double)) == {wide}
    assert adapters.native(Adapter("Metal")) == frozenset()
    with pytest.raises(ValueError, match="f64 expected i64"):
        Features(f64=True)


@pytest.mark.skipif(len(BOTH) < 2, reason="wgpu: the adapter has no features to do without")
def test_devices_tell_what_they_use() -> None:
    full, core = (devices.get(name) for name in BOTH)
    native = wgpu.describe(BOTH[0])["native"]
    assert set(native) == set(adapters.native(adapters.available()[0])) and set(native) <= set(full.gpu.features)
    assert full.target.key != core.target.key
    assert (float64 in full.target.dtypes) == ("shader-f64" in native) and float64 not in core.target.dtypes
    assert not adapters.NATIVE & set(core.gpu.features)


@pytest.mark.skipif(len(BOTH) < 2, reason="wgpu: the adapter has no features to do without")
def test_float64_is_refused_where_the_tensor_is_made() -> None:
    with pytest.raises(DTypeError, match=r"got float64; cast to a supported one .* or use .*cpu:0"):
        st.tensor(np.ones(3), device=CORE)
    with pytest.raises(DTypeError, match="float64"):
        st.tensor(np.ones(3, np.float32), device=CORE).to(st.float64)


def text(dtype: Any, features: Features) -> str:
    """The shader that doubles an array."""
    x, y = Buffer("x", at(64), dtype), Buffer("y", at(64), dtype)
    t = loop("t", 64, Kind.ITEM)
    read = Load(x, at(t.var))
    made = render(Kernel("k", (x, y), loop_nest([t], Store(y, at(t.var), op("add", read, read)))), features)
    return made.shaders[0].text


def test_shaders_use_what_there_is() -> None:
    core, full = Features(), Features(True, True, True)
    assert text(float16, full).startswith("enable f16;") and "atomic" not in text(float16, full)
    assert "array<atomic<u32>>" in text(float16, core) and "f16;" not in text(float16, core)
    assert "array<atomic<u32>>" in text(bfloat16, full) and "f16;" not in text(bfloat16, full)
    assert "array<i64>" in text(int64, full) and "add_64" not in text(int64, full)
    assert "array<vec2<u32>>" in text(int64, core) and "fn add_64" in text(uint64, core)
    assert "array<f64>" in text(float64, full)
    with pytest.raises(ValueError, match="float64 has no WGSL type without"):
        text(float64, Features(i64=True))
    for dtype in (int32, bool_):
        assert text(dtype, core) == text(dtype, full)


def test_literals() -> None:
    full = Features(i64=True, f64=True)
    assert full.literal(-(1 << 63), int64) == "bitcast<i64>(9223372036854775808lu)"
    assert full.literal(-1, uint64) == "18446744073709551615lu" and Features().literal(3, int64) == "vec2<u32>(3u, 0u)"
    assert full.literal(0.1, float64) == "0.1lf" and full.literal(5e-324, float64) == "bits_f64(1lu)"
    assert full.literal(-0.0, float64) == f"bits_f64({1 << 63}lu)"


@both
@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int16, np.float16])
def test_neighbours_of_small_elements_survive(where: str, dtype: Any) -> None:
    """Elements of one or two bytes share words: a write by one item leaves the others' alone."""
    x = np.arange(1003).astype(dtype)
    y = st.tensor(x, device=where)
    y[1::3] = y[0::3][:334]
    want = x.copy()
    want[1::3] = x[0::3][:334]
    np.testing.assert_array_equal(y.numpy(), want)


@both
def test_every_float16_is_kept_and_rounded_once(where: str) -> None:
    """All bit patterns through memory, and sums that lie between two numbers or below the normal range."""
    bits = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    np.testing.assert_array_equal(st.flip(st.tensor(bits, device=where), 0).numpy(), bits[::-1])
    for y in (np.float16(6e-8), np.float16(1.0), np.float16(33.03), np.float16(-2000)):
        with np.errstate(all="ignore"):
            for have, want in (
                (st.tensor(bits, device=where) + float(y), bits + y),
                (st.tensor(bits, device=where) * float(y), bits * y),
            ):
                np.testing.assert_array_equal(have.numpy(), want)
    x = (RNG.standard_normal(20000) * 10.0 ** RNG.integers(-9, 6, 20000)).astype(np.float32)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(st.tensor(x, device=where).to(st.float16).numpy(), x.astype(np.float16))


@both
@pytest.mark.parametrize("dtype", [np.int64, np.uint64])
def test_sixty_four_bits(where: str, dtype: Any) -> None:
    info = np.iinfo(dtype)
    a, b = RNG.integers(info.min, info.max, (2, 500), dtype=dtype)
    b[:50] = [0, 1, 3, 7, 10] * 10
    a[50:60] = info.min
    b[50:55] = -1 if info.min else 0
    shifts = RNG.integers(0, 70, 500).astype(dtype)
    x, y, n = (st.tensor(v, device=where) for v in (a, b, shifts))
    with np.errstate(all="ignore"):
        for name in ("add", "subtract", "multiply", "floor_divide", "remainder", "maximum", "minimum"):
            want = getattr(np, name)(a, b)
            if name == "remainder":
                want = np.where((b == 0) | (b == dtype(0) - dtype(1)) & (info.min < 0), 0, want)
            np.testing.assert_array_equal(getattr(st, name)(x, y).numpy(), want, err_msg=name)
        np.testing.assert_array_equal((x << n).numpy(), a << shifts)
        np.testing.assert_array_equal((x >> n).numpy(), a >> shifts)
        np.testing.assert_array_equal((x**3).numpy(), a**3)
    np.testing.assert_array_equal(x.to(st.float32).numpy(), a.astype(np.float32))
    np.testing.assert_array_equal(st.stack([x < y, x <= y, x == y]).numpy(), np.stack([a < b, a <= b, a == b]))


@both
@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.uint8, np.uint32])
def test_widened_integers_keep_their_sign(where: str, dtype: Any) -> None:
    """A driver compared what it had extended itself as if it were positive."""
    info = np.iinfo(dtype)
    a = np.concatenate([np.array([info.min, info.max, 0, 1, 7], dtype), RNG.integers(info.min, info.max, 90, dtype)])
    x = st.tensor(a, device=where)
    for wide, to in ((np.int64, st.int64), (np.uint64, st.uint64)):
        b = a.astype(wide)
        # The extended values have no names here: they would be results of their own, which a kernel reads from memory.
        np.testing.assert_array_equal((x.to(to) < 1).numpy(), b < 1)
        np.testing.assert_array_equal((x.to(to) > 100).numpy(), b > 100)
        np.testing.assert_array_equal(abs(x.to(to)).numpy(), np.abs(b))
        np.testing.assert_array_equal((x.to(to) % 5).numpy(), b % wide(5))
        np.testing.assert_array_equal(x.to(to).numpy(), b)


@both
def test_the_same_random_numbers(where: str) -> None:
    """Philox multiplies 64-bit integers."""
    made = []
    for name in (where, "cpu"):
        st.manual_seed(11)
        made.append((st.rand(999, device=name).numpy(), st.randint(-5, 1 << 31, (500,), device=name).numpy()))
    np.testing.assert_array_equal(made[0][0], made[1][0])
    np.testing.assert_array_equal(made[0][1], made[1][1])


@both
def test_indices_of_sixty_four_bits(where: str) -> None:
    x = RNG.standard_normal((50, 3)).astype(np.float32)
    for dtype in (np.int64, np.uint64):
        at_ = RNG.integers(0, 50, 70).astype(dtype)
        np.testing.assert_array_equal(
            st.take(st.tensor(x, device=where), st.tensor(at_, device=where), 0).numpy(), x[at_]
        )


@both
def test_powers_far_out_of_range(where: str) -> None:
    """The parts of a logarithm that have opposite signs cancelled where each was cut off."""
    x = np.array([1.45, 1.45, 1.2, 0.72, 1.3, 0.75, 1.0], np.float32)
    y = np.array([1e10, -1e10, 1e7, 1e8, 3e30, -3e38, 3e38], np.float32)
    want = np.array([np.inf, 0, np.inf, 0, np.inf, np.inf, 1], np.float32)
    np.testing.assert_array_equal((st.tensor(x, device=where) ** st.tensor(y, device=where)).numpy(), want)
