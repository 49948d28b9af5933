"""Checkpoints: exact round trips, other writers' files, damage of every kind."""

import os

import numpy as np
import pytest
import safetensors

import spiraltorch as st
from peers import torch
from spiraltorch import nn, optim
from spiraltorch.errors import ArgumentError, CheckpointError

NAMES = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
FLOATS = ["float16", "bfloat16", "float32", "float64"]


def test_all_dtypes_keep_every_bit(tmp_path):
    rng = np.random.default_rng(0)
    state = {}
    for name in NAMES + FLOATS:
        dtype = st.dtypes.BY_NAME[name].numpy
        raw = rng.integers(0, 2 if name == "bool" else 256, (3, 2 * dtype.itemsize), dtype=np.uint8)
        state[name] = st.asarray(raw.view(dtype))
    state["scalar"], state["empty"] = st.tensor(3.0), st.zeros(0, 4)
    path = tmp_path / "all.safetensors"
    st.save(state, path, metadata={"note": "x"})
    loaded = st.load(path)
    assert sorted(loaded) == sorted(state)
    for name, value in state.items():
        assert loaded[name].dtype is value.dtype and loaded[name].shape == value.shape
        assert loaded[name].numpy().tobytes() == value.numpy().tobytes()
    assert st.io.load_metadata(path) == {"note": "x"}
    theirs = dict(safetensors.deserialize(path.read_bytes()))
    assert theirs.keys() == state.keys()
    for name, value in state.items():
        assert bytes(theirs[name]["data"]) == value.numpy().tobytes() and tuple(theirs[name]["shape"]) == value.shape
    assert os.listdir(tmp_path) == ["all.safetensors"]


def test_files_of_torch_both_ways(tmp_path):
    files = pytest.importorskip("safetensors.torch")
    theirs = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4)).to(torch.bfloat16)
    path = tmp_path / "torch.safetensors"
    files.save_file(theirs.state_dict(), path)
    ours = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)).bfloat16()
    ours.load_state_dict(st.load(path))
    st.save(ours.state_dict(), path)
    for key, value in files.load_file(path).items():
        assert torch.equal(value, theirs.state_dict()[key])


def test_nested_training_state(tmp_path):
    def build():
        st.manual_seed(3)
        model = nn.Linear(3, 2)
        optimizer = optim.AdamW(model.parameters(), lr=0.1)
        return model, optimizer, optim.lr_scheduler.ExponentialLR(optimizer, 0.9)

    def train(model, optimizer, schedule):
        model(st.ones(2, 3)).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()

    parts = build()
    train(*parts)
    path = str(tmp_path / "run.safetensors")
    kept = {"model": 0, "optimizer": 1, "schedule": 2}
    st.save(
        {**{k: parts[n].state_dict() for k, n in kept.items()}, "epoch": 3, "best": None, "x": (1, "a", [0.5])}, path
    )
    train(*parts)
    again = build()
    state = st.load(path)
    assert state["epoch"] == 3 and state["best"] is None and state["x"] == (1, "a", [0.5])
    assert set(state["optimizer"]["state"]) == {0, 1}
    for key, n in kept.items():
        again[n].load_state_dict(state[key])
    train(*again)
    for a, b in zip(parts[0].parameters(), again[0].parameters()):
        np.testing.assert_array_equal(a.detach().numpy(), b.detach().numpy())


def test_damaged_files(tmp_path):
    path = tmp_path / "m.safetensors"
    st.save({"w": st.arange(100, dtype=st.float32)}, path)
    good = path.read_bytes()
    for bad in (
        b"",
        good[:5],
        good[:20],
        good[:-1],
        good + b"x",
        b"\xff" * len(good),
        good.replace(b"F32", b"F99"),
        b"PK",
    ):
        path.write_bytes(bad)
        with pytest.raises(CheckpointError, match=r"^\[load\] expected"):
            st.load(path)
    with pytest.raises(CheckpointError, match="readable"):
        st.load(tmp_path / "missing")
    with pytest.raises(CheckpointError, match="readable"):
        st.load(tmp_path)


@pytest.mark.parametrize("skeleton", ["{", '{"dict": [["a", {"tensor": "gone"}]]}', '{"dict": 3}', "[1]", "[" * 99999])
def test_damaged_skeleton(tmp_path, skeleton):
    path = tmp_path / "m.safetensors"
    st.save({"w": st.ones(1)}, path, metadata={"spiraltorch.skeleton": skeleton})
    with pytest.raises(CheckpointError, match=r"^\[load\] expected"):
        st.load(path)


def test_a_failed_save_leaves_the_old_file(tmp_path):
    path = tmp_path / "m.safetensors"
    st.save({"w": st.ones(1)}, path)
    loop: dict = {}
    loop["self"] = loop
    for bad in ({"w": object()}, {"w": np.array(["a"])}, {("a",): 1}, loop):
        with pytest.raises(ArgumentError, match=r"^\[save\] expected"):
            st.save(bad, path)
    assert st.load(path)["w"].tolist() == [1.0] and os.listdir(tmp_path) == ["m.safetensors"]
    with pytest.raises(OSError):
        st.save({"w": st.ones(1)}, tmp_path / "none" / "m.safetensors")


@pytest.mark.parametrize(("place", "kind"), [("missing/model.safetensors", FileNotFoundError), (".", OSError)])
def test_a_place_that_cannot_be_written_is_named(tmp_path, place, kind):
    path = tmp_path / place
    with pytest.raises(kind, match=r"\[save\] expected a file that can be written") as caught:
        st.save({"w": st.ones(2)}, path)
    assert caught.value.filename == str(path)
    assert os.listdir(tmp_path) == []
