"""`Module`: registration, walks, state, hooks, the epoch."""

import copy
import pickle

import numpy as np
import pytest

import spiraltorch as st
from peers import torch
from spiraltorch import nn
from spiraltorch.errors import ArgumentError, CheckpointError, DTypeError, IndexOutOfRange
from spiraltorch.tensor.tracing.tracer import TRACING


class Net(nn.Module):
    def __init__(self, lib=nn):
        super().__init__()
        self.first = lib.Linear(3, 4)
        self.blocks = lib.ModuleList([lib.Linear(4, 4), lib.BatchNorm1d(4)])
        self.named = lib.ModuleDict({"head": lib.Linear(4, 2)})
        self.tied = self.first
        self.scale = nn.Parameter(st.ones(4))

    def forward(self, x):
        for block in self.blocks:
            x = block(self.tied(x) if x.shape[-1] == 3 else x)
        return self.named["head"](x * self.scale)


class TorchNet(torch.nn.Module):
    def __init__(self):
        super().__init__()
        lib = torch.nn
        self.first = lib.Linear(3, 4)
        self.blocks = lib.ModuleList([lib.Linear(4, 4), lib.BatchNorm1d(4)])
        self.named = lib.ModuleDict({"head": lib.Linear(4, 2)})
        self.tied = self.first
        self.scale = torch.nn.Parameter(torch.ones(4))


def test_names_are_those_of_torch():
    ours, theirs = Net(), TorchNet()
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for walk in ("named_parameters", "named_buffers", "named_modules", "named_children"):
        assert [n for n, _ in getattr(ours, walk)()] == [n for n, _ in getattr(theirs, walk)()], walk
    assert [n for n, _ in ours.named_parameters(remove_duplicate=False)] == [
        n for n, _ in theirs.named_parameters(remove_duplicate=False)
    ]
    assert [n for n, _ in ours.named_parameters("p", recurse=False)] == ["p.scale"]


def test_attributes_move_between_tables():
    net = Net()
    net.scale = None
    assert "scale" not in dict(net.named_parameters()) and net.scale is None
    with pytest.raises(DTypeError, match="Parameter"):
        net.scale = st.ones(4)
    del net.scale
    net.scale = 3
    assert net.scale == 3
    net.scale = nn.Parameter(st.ones(1))
    assert "scale" in dict(net.named_parameters()) and "scale" not in net.__dict__
    with pytest.raises(AttributeError, match="nothing_here"):
        getattr(net, "nothing_here")  # noqa: B009
    with pytest.raises(ArgumentError, match="dots"):
        net.register_buffer("a.b", None)
    with pytest.raises(ArgumentError, match="exists"):
        net.register_buffer("first", None)

    class Early(nn.Module):
        def __init__(self):
            self.x = 1

    with pytest.raises(AttributeError, match="super"):
        Early()


def test_epoch_moves_with_structure_only():
    net = Net()

    def moved(action):
        before = TRACING.version
        action()
        return TRACING.version != before

    assert not moved(net.train)
    assert moved(net.eval)
    assert not moved(net.eval)
    assert not moved(lambda: setattr(net, "first", net.first))
    assert not moved(lambda: net.scale.detach().add_(1))
    assert not moved(lambda: net.load_state_dict(net.state_dict()))
    net.train()
    assert not moved(lambda: net(st.ones(2, 3)))
    assert moved(lambda: setattr(net, "scale", nn.Parameter(st.ones(4))))
    assert moved(lambda: setattr(net, "flag", 1))
    assert not moved(lambda: setattr(net, "flag", 1))
    assert moved(lambda: setattr(net, "flag", 2))
    assert moved(lambda: delattr(net, "flag"))
    assert moved(lambda: net.blocks.append(nn.Identity()))
    handle = net.register_forward_hook(lambda *a: None)
    assert moved(handle.remove)
    assert not moved(handle.remove)
    assert moved(lambda: net.requires_grad_(False))
    assert moved(lambda: net.double())


def test_state_dict_shares_elements():
    layer = nn.Linear(2, 2)
    state = layer.state_dict()
    snapshot = copy.deepcopy(state)
    old = state["weight"].numpy().copy()
    nn.init.zeros_(layer.weight)
    np.testing.assert_array_equal(state["weight"].numpy(), np.zeros((2, 2)))
    np.testing.assert_array_equal(snapshot["weight"].numpy(), old)
    state["weight"].fill_(5)
    assert layer.weight.tolist() == [[5.0, 5.0], [5.0, 5.0]]
    assert not state["weight"].requires_grad and layer.weight.requires_grad


def test_load_state_dict_refuses_and_changes_nothing():
    net = Net()
    good = net.state_dict()
    old = {k: v.numpy().copy() for k, v in good.items()}
    other = {k: st.zeros_like(v) for k, v in good.items()}
    for damage, words in (
        (lambda d: d.pop("scale"), "missing keys: scale"),
        (lambda d: d.update(extra=st.ones(1)), "unexpected keys: extra"),
        (lambda d: d.update(scale=st.ones(5)), r"scale: expected shape=\(4,\), got shape=\(5,\)"),
        (lambda d: d.update(scale="text"), "scale: expected a tensor"),
    ):
        state = dict(other)
        damage(state)
        with pytest.raises(CheckpointError, match=words):
            net.load_state_dict(state)
        for key, value in net.state_dict().items():
            np.testing.assert_array_equal(value.numpy(), old[key])
    for wrong in (None, [1], "state"):
        with pytest.raises(CheckpointError, match="dict of names"):
            net.load_state_dict(wrong)
    partial = {"scale": np.full(4, 2.0), "extra": np.ones(1)}
    result = net.load_state_dict(partial, strict=False)
    assert result.unexpected_keys == ["extra"] and "first.weight" in result.missing_keys
    assert net.scale.tolist() == [2.0] * 4 and net.scale.dtype is st.float32


def test_to_keeps_handles_and_gradients():
    layer = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    weight = layer[0].weight
    layer(st.ones(3, 2) * st.tensor([[1.0], [2.0], [3.0]])).sum().backward()
    layer.to(st.bfloat16)
    assert layer[0].weight is weight and weight.dtype is st.bfloat16 and weight.grad.dtype is st.bfloat16
    assert weight.requires_grad and layer[1].num_batches_tracked.dtype is st.int64
    assert layer.float()[1].running_mean.dtype is st.float32
    assert layer.to("cpu", dtype=st.float64)[0].bias.dtype is st.float64
    with pytest.raises(DTypeError, match="floating"):
        layer.to(st.int32)


def test_buffers():
    net = nn.Module()
    net.register_buffer("kept", st.zeros(2))
    net.register_buffer("private", st.zeros(2), persistent=False)
    net.kept = st.ones(2)
    assert list(net.state_dict()) == ["kept"] and net.state_dict()["kept"].tolist() == [1.0, 1.0]
    assert [n for n, _ in net.named_buffers()] == ["kept", "private"]
    with pytest.raises(DTypeError, match="Tensor"):
        net.kept = 3.0


def test_containers():
    layers = [nn.Linear(2, 2) for _ in range(3)]
    seq = nn.Sequential(*layers)
    assert len(seq) == 3 and seq[-1] is layers[2] and list(seq[1:]) == layers[1:]
    seq.insert(1, nn.ReLU())
    del seq[0]
    assert [type(m).__name__ for m in seq] == ["ReLU", "Linear", "Linear"] and list(seq._modules) == ["0", "1", "2"]
    seq[0] = nn.Identity()
    assert isinstance(seq[0], nn.Identity)
    with pytest.raises(IndexOutOfRange, match="index"):
        seq[7]
    table = nn.ModuleDict({"a": nn.Identity()})
    table["b"] = nn.ReLU()
    assert "b" in table and list(table) == ["a", "b"] and isinstance(table.pop("a"), nn.Identity) and len(table) == 1
    params = nn.ParameterList([st.ones(2), nn.Parameter(st.zeros(3))])
    assert list(params.state_dict()) == ["0", "1"] and params[-1].shape == (3,)
    params[0] = nn.Parameter(st.zeros(1))
    assert params[0].shape == (1,)


def test_hooks():
    layer = nn.Identity()
    seen = []
    first = layer.register_forward_pre_hook(lambda m, args: (args[0] + 1,))
    second = layer.register_forward_hook(lambda m, args, out: seen.append(out.item()) or out * 2)
    early = layer.register_forward_hook(lambda m, args, out: out + 10, prepend=True)
    assert layer(st.tensor(1.0)).item() == 24.0 and seen == [12.0]
    for handle in (first, early):
        handle.remove()
    with second:
        assert layer(st.tensor(1.0)).item() == 2.0
    assert layer(st.tensor(1.0)).item() == 1.0
    layer.register_forward_pre_hook(lambda m, a, kw: ((kw["x"],), {}), with_kwargs=True)
    layer.forward = lambda x: x
    assert layer(x=3) == 3


def test_copies_are_independent():
    net = Net()
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert list(twin.state_dict()) == list(net.state_dict())
        assert twin.tied is twin.first and twin.scale is not net.scale
        assert isinstance(twin.scale, nn.Parameter) and twin.scale.requires_grad
        nn.init.zeros_(twin.scale)
        assert net.scale.tolist() == [1.0] * 4


def test_repr_matches_torch():
    def build(lib):
        return lib.Sequential(
            lib.Conv2d(3, 4, 3, stride=2, padding=1, bias=False),
            lib.ReLU(),
            lib.Sequential(lib.Flatten(), lib.Linear(4, 2), lib.Dropout(0.1)),
            lib.Sequential(
                lib.ConvTranspose3d(2, 3, 2), lib.Upsample(scale_factor=2), lib.Upsample((3, 4), mode="bilinear")
            ),
            lib.Sequential(lib.AvgPool3d(2), lib.MaxPool3d(2), lib.AdaptiveAvgPool3d((1, 2, None))),
        )

    assert repr(build(nn)) == repr(build(torch.nn))


def test_apply_zero_grad_requires_grad():
    net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    seen = []
    assert net.apply(lambda m: seen.append(type(m).__name__)) is net
    assert seen == ["Linear", "Linear", "Sequential"]
    net(st.ones(1, 2)).sum().backward()
    net.zero_grad(set_to_none=False)
    assert net[1].bias.grad.tolist() == [0.0]
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())
    net.requires_grad_(False)
    assert not net(st.ones(1, 2)).requires_grad
    assert net.get_submodule("0") is net[0] and net.get_parameter("1.bias") is net[1].bias
    with pytest.raises(AttributeError, match="get_submodule"):
        net.get_submodule("0.nothing")


def test_parameters_must_be_floating():
    with pytest.raises(DTypeError, match="floating"):
        nn.Parameter(st.tensor([1, 2]))
    assert not nn.Parameter(st.tensor([1, 2]), requires_grad=False).requires_grad
    source = st.ones(2)
    parameter = nn.Parameter(source)
    nn.init.zeros_(parameter)
    assert source.tolist() == [0.0, 0.0]


def test_loaded_arrays_are_copied():
    layer, weight = nn.Linear(2, 2, bias=False), np.ones((2, 2), np.float32)
    layer.load_state_dict({"weight": weight})
    weight[:] = 5
    assert layer.weight.tolist() == [[1.0, 1.0], [1.0, 1.0]]
    foreign = torch.ones(2, 2)
    layer.load_state_dict({"weight": foreign})
    foreign.mul_(3)
    assert layer.weight.tolist() == [[1.0, 1.0], [1.0, 1.0]]
