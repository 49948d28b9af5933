"""Code as users write it, for type checkers: `test_types` checks it with mypy and runs it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from typing_extensions import assert_type

import spiraltorch as st
import spiraltorch.data
from spiraltorch import Tensor, nn, optim


def creation() -> Tensor:
    assert_type(st.tensor([[1.0, 2.0], [3.0, 4.0]]), Tensor)
    assert_type(st.tensor(3, dtype=st.float32, device="cpu:0", requires_grad=True), Tensor)
    assert_type(st.asarray(np.ones((2, 3), np.float32)), Tensor)
    assert_type(st.from_numpy(np.arange(3)), Tensor)
    assert_type(st.from_dlpack(np.ones(2)), Tensor)
    assert_type(st.zeros(2, 3), Tensor)
    assert_type(st.ones((2, 3), dtype="float64"), Tensor)
    assert_type(st.full((2,), 7, dtype=float), Tensor)
    assert_type(st.zeros_like(st.ones(2)), Tensor)
    assert_type(st.arange(10), Tensor)
    assert_type(st.linspace(0, 1, 5), Tensor)
    assert_type(st.eye(3), Tensor)
    assert_type(st.randn(2, 3), Tensor)
    assert_type(st.randint(0, 10, (2,)), Tensor)
    assert_type(st.manual_seed(0), st.Generator)
    assert_type(st.meshgrid(st.arange(2), st.arange(3)), list[Tensor])
    return st.stack([st.zeros(3), st.tensor([1, 2, 3])])


def facts(x: Tensor) -> None:
    assert_type(x.shape, tuple[int, ...])
    assert_type(x.dtype, st.dtypes.DType)
    name: str = x.device
    assert_type(x.device.type, str)
    assert_type(x.device.index, int)
    assert name
    assert_type(x.ndim, int)
    count: int = x.size
    assert_type(x.size + 1, int)
    assert_type(x.size(), tuple[int, ...])
    assert_type(x.size(0), int)
    assert count
    assert_type(x.numel(), int)
    assert_type(x.requires_grad, bool)
    assert_type(x.grad, Tensor | None)
    assert_type(len(x), int)
    assert_type(x.T, Tensor)
    assert_type(x.sum().item(), bool | int | float)
    assert_type(float(x.sum()), float)
    assert_type(bool((x == x).all()), bool)
    assert_type(x.is_floating_point(), bool)
    assert_type(st.allclose(x, x), bool)
    assert_type(repr(x), str)
    array: np.ndarray[tuple[int, ...], np.dtype[np.float32]] = x.numpy()
    assert array.shape == x.shape
    rows: list[list[float]] = x.tolist()
    assert len(rows) == len(x)


def indexing(x: Tensor) -> None:
    assert_type(x[0], Tensor)
    assert_type(x[0, 1], Tensor)
    assert_type(x[:, None, ..., -1], Tensor)
    assert_type(x[::2], Tensor)
    assert_type(x[[1, 0]], Tensor)
    assert_type(x[x > 0], Tensor)
    assert_type(x[st.tensor([1, 0])], Tensor)
    assert_type(x[np.array([1, 0])], Tensor)
    x[0] = 1
    x[:, 1] = [5.0, 6.0]
    x[x > 5] = st.tensor(0.0)
    x[0, 0] += 1
    assert_type(list(x), list[Tensor])
    for row in x:
        assert_type(row, Tensor)
    assert_type(st.where(x > 0, x, 0.0), Tensor)
    assert_type(st.where(x > 0), tuple[Tensor, ...])
    assert_type(st.nonzero(x), tuple[Tensor, ...])
    assert_type(st.nonzero(x, as_tuple=False), Tensor)
    assert_type(x.gather(1, st.zeros(2, 1, dtype=int)), Tensor)
    assert_type(st.take_along_axis(x, st.argsort(x, axis=1), axis=1), Tensor)


def arithmetic(x: Tensor, y: Tensor) -> Tensor:
    assert_type(x + y, Tensor)
    assert_type(x + 1, Tensor)
    assert_type(2.0 * x, Tensor)
    assert_type(1 - x, Tensor)
    assert_type(x / y, Tensor)
    assert_type(x // 2, Tensor)
    assert_type(x % 3, Tensor)
    assert_type(x**2, Tensor)
    assert_type(-x, Tensor)
    assert_type(abs(x), Tensor)
    assert_type(x @ y, Tensor)
    assert_type(x + np.ones(2), Tensor)
    assert_type(x > y, Tensor)
    assert_type(x == 0, Tensor)
    assert_type((x > 0) & ~(y > 0), Tensor)
    assert_type(st.add(x, [1, 2]), Tensor)
    assert_type(st.maximum(x, 0), Tensor)
    assert_type(st.exp(x), Tensor)
    assert_type(st.einsum("ij,jk->ik", x, y), Tensor)
    assert_type(st.linalg.norm(x), Tensor)
    x += y
    x *= 2
    assert_type(x.add_(1).mul_(2), Tensor)
    assert_type(x.clamp_(0, 1), Tensor)
    assert_type(x.zero_(), Tensor)
    return x


def reductions(x: Tensor) -> None:
    assert_type(x.sum(), Tensor)
    assert_type(x.sum(axis=0, keepdims=True), Tensor)
    assert_type(x.sum(dim=0, keepdim=True), Tensor)
    assert_type(x.mean((0, 1)), Tensor)
    assert_type(st.sum(x, axis=-1), Tensor)
    assert_type(st.mean(x, dim=-1, keepdim=True), Tensor)
    assert_type(x.var(dim=1, unbiased=False), Tensor)
    assert_type(x.std(), Tensor)
    assert_type(x.argmax(dim=-1), Tensor)
    assert_type(x.max(), Tensor)
    assert_type(st.max(x, axis=1), Tensor)
    values, indices = x.max(dim=1)
    assert_type(values, Tensor)
    assert_type(indices, Tensor)
    assert_type(x.topk(2).values, Tensor)
    assert_type(st.sort(x, axis=-1), Tensor)
    assert_type(x.softmax(dim=-1), Tensor)
    assert_type(st.logsumexp(x, axis=1), Tensor)
    assert_type(x.cumsum(dim=0), Tensor)
    assert_type(st.median(x, dim=0), Tensor)
    assert_type(x.median(), Tensor)
    assert_type(x.median(0).indices, Tensor)
    assert_type(x.unique(), Tensor)
    assert_type(st.unique_all(x).counts, Tensor)


def shapes(x: Tensor) -> None:
    assert_type(x.reshape(-1), Tensor)
    assert_type(x.reshape(4, -1), Tensor)
    assert_type(x.view((2, 2)), Tensor)
    assert_type(x.permute(1, 0), Tensor)
    assert_type(x.transpose(0, 1), Tensor)
    assert_type(x.unsqueeze(0), Tensor)
    assert_type(x.unsqueeze(dim=-1), Tensor)
    assert_type(x.squeeze(), Tensor)
    assert_type(x.flatten(), Tensor)
    assert_type(x.expand(3, -1, -1), Tensor)
    assert_type(st.concat([x, x], axis=0), Tensor)
    assert_type(st.cat([x, x], dim=1), Tensor)
    assert_type(x.split(1), tuple[Tensor, ...])
    assert_type(x.chunk(2, dim=1), tuple[Tensor, ...])
    assert_type(x.to(st.float64), Tensor)
    assert_type(x.to("cpu:0", dtype=st.float16), Tensor)
    assert_type(x.float(), Tensor)
    assert_type(x.detach().clone(), Tensor)
    assert_type(st.pad(x, (1, 1)), Tensor)
    assert_type(st.max_pool2d(x.reshape(1, 1, 2, 2), 2), Tensor)


def gradients() -> None:
    def loss(w: Tensor, x: Tensor) -> Tensor:
        return ((x @ w) ** 2).sum()

    w, x = st.randn(2, 1, requires_grad=True), st.randn(3, 2)
    loss(w, x).backward()
    assert w.grad is not None
    assert_type(w.grad.sum(), Tensor)
    slope = st.grad(loss)(w.detach(), x)
    assert slope is not None
    value, _ = st.value_and_grad(loss)(w.detach(), x)
    assert_type(float(value), float)
    fast = st.compile(loss)
    assert_type(fast(w, x), Tensor)
    with st.no_grad():
        assert not loss(w, x).requires_grad

    @st.compile
    def step(a: Tensor, scale: float = 1.0) -> Tensor:
        return a * scale

    assert_type(step(x, scale=2.0), Tensor)


class Net(nn.Module):
    """A network as users write it."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.first = nn.Linear(4, width)
        self.norm = nn.LayerNorm(width)
        self.last = nn.Linear(width, 2)
        self.scale = nn.Parameter(st.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.norm(nn.functional.relu(self.first(x)))
        out: Tensor = self.last(nn.functional.dropout(hidden, 0.1, self.training)) * self.scale
        return out


def batches(count: int) -> Iterator[tuple[Tensor, Tensor]]:
    for _ in range(count):
        yield st.randn(16, 4), st.randint(0, 2, (16,))


def training(folder: Path) -> None:
    model = Net()
    optimizer = optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.01)
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=10)
    criterion = nn.CrossEntropyLoss()
    for x, target in batches(3):
        optimizer.zero_grad()
        loss: Tensor = criterion(model(x), target)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        print(f"{loss.item():.3f}")
    model.eval()
    for name, parameter in model.named_parameters():
        assert_type(name, str)
        assert_type(parameter.shape, tuple[int, ...])
    path = folder / "model.safetensors"
    st.save(model.state_dict(), path)
    model.load_state_dict(st.load(path))
    layers = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 8 * 8, 10))
    images, labels, _, _ = spiraltorch.data.digits()
    outputs = layers(st.tensor(images[:2]))
    assert outputs.shape == (2, 10)
    assert (outputs.argmax(dim=-1) == st.tensor(labels[:2])).shape == (2,)


def inspection(x: Tensor) -> None:
    assert_type(st.explain(x + 1), str)
    assert_type(st.finfo(st.float32).bits, int)
    assert_type(st.result_type(st.int8, x), st.dtypes.DType)
    assert_type(st.default_device().type, str)
    try:
        st.ones(2, 3) @ st.ones(2, 3)
    except st.ShapeError as error:
        assert_type(str(error), str)


def main(folder: Path) -> None:
    x = creation().to(float)[:, :2]
    facts(x)
    indexing(x)
    arithmetic(x.clone(), x)
    reductions(x)
    shapes(x)
    gradients()
    training(folder)
    inspection(x)
