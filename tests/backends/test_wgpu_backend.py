"""The WGPU backend: limits of adapters, memory, errors, and the same training as on the CPU."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import spiraltorch as st
from spiraltorch import nn, optim
from spiraltorch.backends import wgpu
from spiraltorch.backends.wgpu.device import WgpuDevice
from spiraltorch.codegen.wgsl import library
from spiraltorch.codegen.wgsl.render import render
from spiraltorch.compiler.state import STATE
from spiraltorch.dtypes import float16, float32, int32
from spiraltorch.errors import DeviceError, DeviceLostError, OutOfMemoryError
from spiraltorch.ir.expr import Buffer, Load, at, cast, op
from spiraltorch.ir.stmt import Kernel, Kind, Store, loop, loop_nest
from spiraltorch.runtime import device as devices

pytestmark = pytest.mark.skipif(not wgpu.devices(), reason=f"wgpu: {wgpu.reason()}")


def on_wgpu(array: Any) -> st.Tensor:
    return st.tensor(array, device="wgpu")


@pytest.fixture
def gpu() -> Any:
    return devices.get("wgpu:0")


def test_facts(gpu: WgpuDevice) -> None:
    facts = wgpu.describe("wgpu:0")
    assert {"device", "vendor", "driver", "software", "limits"} <= set(facts)
    assert gpu.target.has_grid and gpu.target.max_buffers >= 8 and gpu.target.group_items >= 64


def limit_buffers(gpu: WgpuDevice, limit: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Lets kernels bind only so many buffers. Returns the list that receives how many each shader binds."""
    target = replace(gpu.target, max_buffers=limit, key=f"{gpu.target.key}|{limit}")
    monkeypatch.setattr(gpu, "target", target)
    monkeypatch.setattr(gpu.kernels, "loaded", {})
    monkeypatch.setattr(STATE, "graphs", {})
    bound: list[int] = []
    original = gpu.program

    def spy(steps: Any, slots: int) -> Any:
        bound.extend(len(s.bindings) for kernel, _ in steps for s in kernel.rendered.shaders)
        return original(steps, slots)

    monkeypatch.setattr(gpu, "program", spy)
    return bound


@pytest.mark.parametrize("limit", [8, 10])
def test_plans_fit_few_buffers(gpu: WgpuDevice, limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums and joins of many tensors split where a kernel may bind only 8 buffers, which is all that WebGPU promises."""
    bound = limit_buffers(gpu, limit, monkeypatch)
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal((5, 6)).astype(np.float32) for _ in range(23)]
    tensors = [on_wgpu(a) for a in arrays]
    total = tensors[0]
    for t in tensors[1:]:
        total = total * 0.5 + t
    want = arrays[0]
    for a in arrays[1:]:
        want = want * np.float32(0.5) + a
    outputs = [t * 2 + total for t in tensors]
    joined = st.concat(tensors, 0)
    st.eval(total, joined, *outputs)
    np.testing.assert_allclose(total.numpy(), want, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(joined.numpy(), np.concatenate(arrays))
    for out, a in zip(outputs, arrays, strict=True):
        np.testing.assert_allclose(out.numpy(), a * 2 + want, rtol=1e-5, atol=1e-5)
    assert max(bound) <= limit


@pytest.mark.parametrize("steps", [33, 40])
def test_gradient_of_a_long_recurrence_fits_the_buffers(
    gpu: WgpuDevice, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """States that are stored after fusion began, as recomputing them is expensive, count against the limit as well."""
    bound = limit_buffers(gpu, 32, monkeypatch)
    start = np.array([1.0])
    x = on_wgpu(start.astype(np.float32)).requires_grad_()
    y = x
    state, slope = start, np.ones(1)
    for _ in range(steps):
        y = y.sin() + x * 0.01
        state, slope = np.sin(state) + start * 0.01, np.cos(state) * slope + 0.01
    y.sum().backward()
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), slope, rtol=1e-4)
    assert max(bound) <= 32


def test_training_with_few_buffers(gpu: WgpuDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "target", replace(gpu.target, max_buffers=8, key=f"{gpu.target.key}|8"))
    monkeypatch.setattr(gpu.kernels, "loaded", {})
    monkeypatch.setattr(STATE, "graphs", {})
    np.testing.assert_allclose(losses("wgpu", 4), losses("cpu", 4), rtol=1e-5)


def losses(where: str, steps: int) -> list[float]:
    """The first losses of a small network with dropout under AdamW, from one seed."""
    st.manual_seed(3)
    model = nn.Sequential(nn.Linear(20, 32), nn.GELU(), nn.Dropout(0.1), nn.LayerNorm(32), nn.Linear(32, 5)).to(where)
    optimizer = optim.AdamW(model.parameters(), lr=1e-2)
    x = st.randn(16, 20, device=where)
    y = st.randint(0, 5, (16,), device=where)

    @st.compile
    def step(x: st.Tensor, y: st.Tensor) -> st.Tensor:
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return [step(x, y).item() for _ in range(steps)]


def test_the_same_seed_trains_alike_on_both() -> None:
    np.testing.assert_allclose(losses("wgpu", 20), losses("cpu", 20), rtol=2e-4)


def test_a_convolution_and_its_gradients() -> None:
    rng = np.random.default_rng(1)
    x, w = rng.standard_normal((3, 4, 9, 10)).astype(np.float32), rng.standard_normal((6, 2, 3, 3)).astype(np.float32)
    found = {}
    for where in ("cpu", "wgpu"):
        a, b = st.tensor(x, device=where, requires_grad=True), st.tensor(w, device=where, requires_grad=True)
        y = nn.functional.conv2d(a, b, stride=2, padding=1, groups=2)
        (y * y).sum().backward()
        found[where] = [y.detach().numpy(), a.grad.numpy(), b.grad.numpy()]
    for have, want in zip(found["wgpu"], found["cpu"], strict=True):
        np.testing.assert_allclose(have, want, rtol=2e-4, atol=2e-4)


def test_random_numbers_are_those_of_the_cpu() -> None:
    made = []
    for where in ("cpu", "wgpu"):
        st.manual_seed(11)
        made.append((st.rand(1000, device=where).numpy(), st.randint(0, 77, (500,), device=where).numpy()))
    np.testing.assert_array_equal(made[0][0], made[1][0])
    np.testing.assert_array_equal(made[0][1], made[1][1])


def test_gradients_cross_devices() -> None:
    x = st.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = (x * 2).to("wgpu:0")
    z = (y * y).sum().to("cpu")
    z.backward()
    assert y.device == "wgpu:0" and z.item() == 56.0
    np.testing.assert_array_equal(x.grad.numpy(), [8, 16, 24])


def test_a_copy_between_devices_does_not_keep_what_lies_between() -> None:
    """The list of the graph's values was taken for someone that wants them: each became a result."""
    x = st.asarray(np.linspace(-1, 1, 4096, dtype=np.float32)).to("wgpu:0")
    y = x
    for _ in range(10):
        y = (y * 1.5).tanh()
    before = st.telemetry.counters()["bytes_moved"]
    y.numpy()
    assert st.telemetry.counters()["bytes_moved"] - before == 2 * 4096 * 4


def test_a_compiled_function_may_span_devices() -> None:
    run = st.compile(lambda a: (a.to("wgpu") * 3).to("cpu") + 1)
    np.testing.assert_array_equal(run(st.ones(3)).numpy(), [4, 4, 4])
    np.testing.assert_array_equal(run(st.zeros(3)).numpy(), [1, 1, 1])


def test_devices_are_not_mixed_by_accident() -> None:
    with pytest.raises(DeviceError, match=r"\[add\] expected operands on one device"):
        st.ones(2) + on_wgpu(np.ones(2, np.float32))


def test_what_no_buffer_can_hold_is_out_of_memory(gpu: WgpuDevice) -> None:
    with pytest.raises(OutOfMemoryError, match="wgpu"):
        st.ones(10**13, device="wgpu").numpy()
    np.testing.assert_array_equal(st.ones(3, device="wgpu").numpy(), [1, 1, 1])


def test_a_lost_device_says_so_and_leaves_others_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    doomed = wgpu.open("wgpu:0")
    monkeypatch.setitem(devices.REGISTRY.devices, "wgpu:0", doomed)
    monkeypatch.setattr(STATE, "graphs", {})
    x = on_wgpu(np.ones(5, np.float32))
    np.testing.assert_array_equal((x + 1).numpy(), [2] * 5)
    doomed.gpu.destroy()
    for use in (lambda: (x + 1).numpy(), lambda: (x * 3).numpy(), lambda: on_wgpu([1.0, 2.0] * 999).numpy(), x.numpy):
        with pytest.raises(DeviceLostError, match=r"\[wgpu:0\] expected a working device"):
            use()
    np.testing.assert_array_equal((st.ones(3) + 1).numpy(), [2, 2, 2])


def test_memory_is_reused(gpu: WgpuDevice) -> None:
    x = on_wgpu(np.ones(5000, np.float32))
    for _ in range(3):
        (x + 1).numpy()
    before = gpu.count
    for _ in range(10):
        (x + 1).numpy()
    assert gpu.count == before


def test_a_broken_shader_names_itself(gpu: WgpuDevice) -> None:
    from spiraltorch.backends.wgpu.program import WgpuKernel
    from spiraltorch.codegen.wgsl.render import Rendered, Shader
    from spiraltorch.errors import CompileError

    bad = Rendered(
        (Shader("@compute @workgroup_size(1) fn main() { let x: i32 = 1.5; }", (1, 1, 1), (1, 1, 1), (), 0),), ()
    )
    with pytest.raises((CompileError, AssertionError), match="i32"):
        WgpuKernel(gpu, bad, [], 0)


def test_only_needed_functions_are_in_a_shader() -> None:
    x, y = Buffer("x", at(64), float16), Buffer("y", at(64), int32)
    t = loop("t", 64, Kind.ITEM)
    text = (
        render(Kernel("k", (x, y), loop_nest([t], Store(y, at(t.var), cast(Load(x, at(t.var)), int32)))))
        .shaders[0]
        .text
    )
    assert "fn to_i32" in text and "fn is_nan" in text and "fn fmod_f32" not in text
    assert library.called_functions("let a = add_64(b, c);").startswith("fn add_64")


def test_threads_have_no_wgsl() -> None:
    x, i = Buffer("x", at(64), float32), loop("i", 64, Kind.PARALLEL)
    with pytest.raises(ValueError, match="over groups"):
        render(Kernel("k", (x,), loop_nest([i], Store(x, at(i.var), op("neg", Load(x, at(i.var)))))))


def test_a_planted_mistake_shows(gpu: WgpuDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    """One wrong operator in the renderer gives wrong numbers: the kernels that run are the rendered ones."""
    from spiraltorch.codegen.wgsl import emitter

    monkeypatch.setenv("SPIRALTORCH_CACHE_DIR", "")
    monkeypatch.setattr(gpu.kernels, "loaded", {})
    monkeypatch.setattr(STATE, "graphs", {})
    monkeypatch.setitem(emitter._INFIX, "fadd", "-")
    np.testing.assert_array_equal((on_wgpu([5.0, 7.0]) + on_wgpu([1.0, 2.0])).numpy(), [4, 5])
    monkeypatch.setattr(gpu.kernels, "loaded", {})
    monkeypatch.setattr(STATE, "graphs", {})


def test_reads_are_started_early_and_give_the_value_of_then() -> None:
    """A started read keeps its memory: an update does not go over it, and what follows is not seen by it."""
    x = st.asarray(np.arange(1000, dtype=np.float32)).to("wgpu:0") + 0
    st.eval(x)
    old = x.clone()
    x.copy_to_host_async()
    x *= 2
    st.eval(x)
    np.testing.assert_array_equal(old.numpy(), np.arange(1000))
    np.testing.assert_array_equal(x.numpy(), np.arange(1000) * 2)


def test_reads_use_their_buffers_again() -> None:
    device: Any = devices.get("wgpu:0")
    x = st.asarray(np.arange(5000, dtype=np.float32)).to("wgpu:0")
    for n in range(5):
        np.testing.assert_array_equal((x + n).numpy(), np.arange(5000, dtype=np.float32) + n)
    kept = sum(map(len, device.staging.free.values()))
    for n in range(5):
        (x * n).numpy()
    assert sum(map(len, device.staging.free.values())) == kept


def test_many_started_reads_are_bounded() -> None:
    device: Any = devices.get("wgpu:0")
    values = [st.asarray(np.full(3, n, np.float32)).to("wgpu:0") + 1 for n in range(100)]
    for v in values:
        v.copy_to_host_async()
    assert len(device.staging.started) <= 64
    for n, v in enumerate(values):
        np.testing.assert_array_equal(v.numpy(), np.full(3, n + 1))
    assert not device.staging.started
