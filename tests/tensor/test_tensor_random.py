"""Random numbers: the generator's stream, distributions, and determinism."""

from __future__ import annotations

import ast
import copy
import os
import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import scipy.stats
from tensor_helpers import FLOATS

import spiraltorch as st
from spiraltorch.errors import SpiralTorchError


def test_same_seed_same_numbers() -> None:
    for draw in (lambda: st.rand(5), lambda: st.randn(2, 3), lambda: st.randint(0, 9, (7,)), lambda: st.randperm(6)):
        st.manual_seed(7)
        a, b = draw().tolist(), draw().tolist()
        st.manual_seed(7)
        assert (draw().tolist(), draw().tolist()) == (a, b)
        assert a != b
        st.manual_seed(8)
        assert draw().tolist() != a


def test_known_words_of_philox() -> None:
    """The published test vector of Philox 4x32-10 for counter 0 and key 0."""
    from spiraltorch.dtypes import uint64
    from spiraltorch.graph import build
    from spiraltorch.tensor import Tensor

    zero = build.scalar(0, uint64)
    words = Tensor(build.random_bits(zero, zero, (4,))).tolist()
    assert words == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]


def test_generator_state() -> None:
    g = st.Generator(5)
    first = st.rand(10, generator=g).tolist()
    state = g.get_state()
    second = st.rand(3, generator=g).tolist()
    g.set_state(state)
    assert st.rand(3, generator=g).tolist() == second
    assert g.manual_seed(5) is g
    assert st.rand(10, generator=g).tolist() == first
    assert g.initial_seed() == 5


def test_the_default_stream_is_not_touched_by_others() -> None:
    st.manual_seed(1)
    a = st.rand(4).tolist()
    st.manual_seed(1)
    st.rand(100, generator=st.Generator(9))
    assert st.rand(4).tolist() == a


@pytest.mark.parametrize("dtype", FLOATS)
def test_uniform(dtype: str) -> None:
    st.manual_seed(2)
    x = st.rand(20000, dtype=dtype).numpy().astype(np.float64)
    assert x.min() >= 0
    assert x.max() < 1
    assert scipy.stats.kstest(x, "uniform").statistic < (0.02 if dtype != "bfloat16" else 0.03)
    assert abs(np.corrcoef(x[:-1], x[1:])[0, 1]) < 0.03


@pytest.mark.parametrize("dtype", FLOATS)
def test_normal(dtype: str) -> None:
    st.manual_seed(3)
    x = st.randn(20000, dtype=dtype).numpy().astype(np.float64)
    assert np.isfinite(x).all()
    assert scipy.stats.kstest(x, "norm").statistic < 0.02


def test_other_distributions() -> None:
    st.manual_seed(4)
    u = st.uniform(-2.0, 3.0, (5000,)).numpy()
    assert -2 <= u.min() < -1.9
    assert 2.9 < u.max() < 3
    n = st.normal(5.0, 0.5, (5000,)).numpy()
    assert abs(n.mean() - 5) < 0.05
    assert abs(n.std() - 0.5) < 0.02
    k = st.randint(-3, 4, (7000,)).numpy()
    assert sorted(set(k.tolist())) == [-3, -2, -1, 0, 1, 2, 3]
    assert scipy.stats.chisquare(np.bincount(k + 3)).pvalue > 1e-4
    assert st.randint(5, size=(3,)).dtype is st.int64
    assert st.randint(0, 200, (3,), dtype=st.uint8).dtype is st.uint8
    b = st.bernoulli(st.full((10000,), 0.3)).numpy()
    assert set(b.tolist()) == {0.0, 1.0}
    assert abs(b.mean() - 0.3) < 0.02


def test_permutations() -> None:
    st.manual_seed(5)
    p = st.randperm(1000).numpy()
    assert sorted(p.tolist()) == list(range(1000))
    assert abs(np.corrcoef(p, np.arange(1000))[0, 1]) < 0.1
    x = st.arange(10).reshape(5, 2)
    rows = st.permutation(x).tolist()
    assert sorted(rows) == x.tolist()


def test_dropout() -> None:
    st.manual_seed(6)
    x = st.ones(10000, requires_grad=True)
    y = st.dropout(x, 0.25)
    values = y.numpy()
    np.testing.assert_allclose(values, np.where(values > 0, 4 / 3, 0), rtol=1e-6)
    assert abs((values == 0).mean() - 0.25) < 0.02
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), values)  # the same mask in both directions
    assert st.dropout(x, 0.5, training=False) is x


def test_likes_and_shapes() -> None:
    x = st.zeros(2, 3, dtype=st.float64)
    assert st.rand_like(x).dtype is st.float64
    assert st.randn_like(x).shape == (2, 3)
    assert st.rand((2, 3)).shape == st.rand(2, 3).shape == (2, 3)
    assert st.rand(()).shape == ()
    assert st.rand(0, 2).tolist() == []
    assert st.randn(3, requires_grad=True).requires_grad


@pytest.mark.parametrize("call", [
    lambda: st.rand(2, dtype=st.int32), lambda: st.randint(3, 3, (1,)), lambda: st.dropout(st.ones(1), 1.5),
    lambda: st.rand(-1), lambda: st.manual_seed("x"),
])  # fmt: skip
def test_errors(call: Any) -> None:
    with pytest.raises(SpiralTorchError, match=r"^\[.+\] expected"):
        call()


def test_a_compiled_draw_lies_on_the_tensor_s_device_whatever_the_generator_s_is() -> None:
    """The default generator is made on the default device at import; another may be the default later."""
    x = st.ones(64)
    drop = lambda g: st.dropout(x, 0.5, generator=g).tolist()
    elsewhere, here = st.Generator(7), st.Generator(7)
    elsewhere.device = "elsewhere:0"
    assert st.compile(lambda: st.dropout(x, 0.5, generator=elsewhere))().tolist() == drop(here)
    assert drop(elsewhere) == drop(here)  # the second draw of each


# ------------------------------------------------------------------ seeds

DRAWS = """
import spiraltorch as st
print(st.rand(2).tolist(), st.nn.functional.dropout(st.ones(40)).tolist(), st.Generator().initial_seed())
"""
FORKS = """
import os, sys
import spiraltorch as st
own, kept = st.Generator(), st.Generator(5)
if sys.argv[1:]:
    st.manual_seed(int(sys.argv[1]))
for _ in range(2):
    if not os.fork():
        values = st.rand(2), st.rand(2, generator=own), st.rand(2, generator=kept)
        os.write(1, f"{[v.tolist() for v in values]}\\n".encode())
        os._exit(0)
    os.wait()
"""


def printed(program: str, *arguments: str) -> list[str]:
    """The lines that a program prints in a process of its own."""
    run = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
    return run.stdout.splitlines()


def test_unseeded_processes_differ() -> None:
    (first,), (second,) = printed(DRAWS), printed(DRAWS)
    assert first.split("] ")[0] != second.split("] ")[0]
    assert first.split("] ")[1] != second.split("] ")[1]
    assert first.split()[-1] != second.split()[-1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_forked_workers_differ_unless_seeded() -> None:
    first, second = (ast.literal_eval(line) for line in printed(FORKS))
    assert first[0] != second[0] and first[1] != second[1] and first[2] == second[2]
    first, second = (ast.literal_eval(line) for line in printed(FORKS, "3"))
    assert first[0] == second[0] and first[1] != second[1]
    st.manual_seed(3)
    assert first[0] == st.rand(2).tolist()


def test_copies_of_generators_go_on_from_their_state() -> None:
    for source in (st.Generator(5), st.Generator()):
        st.rand(9, generator=source)
        copies = [pickle.loads(pickle.dumps(source)), copy.copy(source), copy.deepcopy(source)]
        want = st.rand(4, generator=source).tolist()
        assert all(st.rand(4, generator=c).tolist() == want for c in copies)


def test_arguments_of_random_functions() -> None:
    assert st.randint(5, (2, 3)).shape == (2, 3)
    assert st.randint(np.int64(0), np.int64(1), (np.int64(2),)).tolist() == [0, 0]
    assert st.manual_seed(np.int64(7)).initial_seed() == 7
    with pytest.raises(
        st.errors.ArgumentError, match=r"expected generator as an st.Generator, got 3; pass st.Generator"
    ):
        st.rand(2, generator=3)  # type: ignore[arg-type]
