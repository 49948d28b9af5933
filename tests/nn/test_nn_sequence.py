"""Attention, transformer and recurrent layers against PyTorch."""

import numpy as np
import pytest
from nn_helpers import close, compare

import spiraltorch as st
from peers import torch
from spiraltorch import nn
from spiraltorch.nn import functional as F

rng = np.random.default_rng(3)


def normal(*shape):
    return rng.normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("mask", ["none", "causal", "bool", "float", "empty row"])
def test_scaled_dot_product_attention(mask):
    arrays = normal(2, 2, 4, 3), normal(2, 2, 5, 3), normal(2, 2, 5, 6)
    kwargs, other = {}, {}
    if mask == "causal":
        kwargs = other = {"is_causal": True}
    elif mask != "none":
        array = rng.random((4, 5)) < 0.6
        array[:, 0] = True
        if mask == "empty row":
            array[1] = False
        if mask == "float":
            array = normal(4, 5)
        kwargs, other = {"attn_mask": st.tensor(array)}, {"attn_mask": torch.tensor(array)}
    a = [st.tensor(x, requires_grad=True) for x in arrays]
    b = [torch.tensor(x, requires_grad=True) for x in arrays]
    mine = F.scaled_dot_product_attention(*a, **kwargs)
    theirs = torch.nn.functional.scaled_dot_product_attention(*b, **other)
    close(mine, theirs)
    (mine * mine).sum().backward()
    (theirs * theirs).sum().backward()
    for x, y in zip(a, b):
        close(x.grad, y.grad, 1e-4)


def test_grouped_query_attention_and_scale():
    q, k, v = normal(1, 4, 3, 2), normal(1, 2, 5, 2), normal(1, 2, 5, 2)
    mine = F.scaled_dot_product_attention(*map(st.tensor, (q, k, v)), scale=0.3, enable_gqa=True)
    other = torch.nn.functional.scaled_dot_product_attention
    close(mine, other(*map(torch.tensor, (q, k, v)), scale=0.3, enable_gqa=True))


@pytest.mark.parametrize(
    "kwargs",
    [
        {"batch_first": True},
        {"bias": False, "batch_first": True},
        {"kdim": 5, "vdim": 3, "batch_first": True},
        {"add_bias_kv": True, "add_zero_attn": True, "batch_first": True},
    ],
)
def test_multihead_attention(kwargs):
    ours, theirs = nn.MultiheadAttention(6, 2, **kwargs), torch.nn.MultiheadAttention(6, 2, **kwargs)
    widths = 6, kwargs.get("kdim", 6), kwargs.get("vdim", 6)
    compare(ours, theirs, *(normal(2, length, width) for length, width in zip((4, 5, 5), widths)))


def test_multihead_attention_with_the_sequence_first():
    ours, theirs = nn.MultiheadAttention(6, 2), torch.nn.MultiheadAttention(6, 2)
    compare(ours, theirs, normal(4, 2, 6), normal(5, 2, 6), normal(5, 2, 6))


def test_multihead_attention_masks_and_weights():
    ours, theirs = nn.MultiheadAttention(6, 2, batch_first=True), torch.nn.MultiheadAttention(6, 2, batch_first=True)
    ours.load_state_dict({k: v.detach().numpy() for k, v in theirs.state_dict().items()})
    x = normal(2, 4, 6)
    padding = np.array([[False, False, False, True], [False, False, True, True]])
    causal = np.triu(np.ones((4, 4), bool), 1)
    heads = normal(4, 4, 4)
    a, b = st.tensor(x), torch.tensor(x)
    for average in (True, False):
        for mask in (None, causal, heads):
            given = [None if mask is None else kind(mask) for kind in (st.tensor, torch.tensor)]
            pad = [kind(padding) for kind in (st.tensor, torch.tensor)]
            mine = ours(a, a, a, key_padding_mask=pad[0], attn_mask=given[0], average_attn_weights=average)
            if mask is heads:  # PyTorch warns about masks of two kinds; give it one kind
                pad[1] = torch.zeros(2, 4).masked_fill(pad[1], float("-inf"))
            other = theirs(b, b, b, key_padding_mask=pad[1], attn_mask=given[1], average_attn_weights=average)
            close(mine[0], other[0])
            close(mine[1], other[1])
    assert ours(a, a, a, need_weights=False)[1] is None
    close(ours(a, a, a, is_causal=True)[0], theirs(b, b, b, attn_mask=torch.tensor(causal))[0])
    single = ours(a[0], a[0], a[0])
    close(single[0], theirs(b[0], b[0], b[0])[0])
    assert single[1].shape == (4, 4)


@pytest.mark.parametrize("kwargs", [{}, {"norm_first": True, "activation": "gelu"}, {"bias": False}])
def test_transformer_encoder_layer(kwargs):
    kwargs = {"dropout": 0.0, "batch_first": True, **kwargs}
    ours, theirs = (m.TransformerEncoderLayer(8, 2, 12, **kwargs) for m in (nn, torch.nn))
    compare(ours, theirs, normal(2, 3, 8), tolerance=5e-5)


def test_transformer_encoder_layer_with_masks():
    ours, theirs = (m.TransformerEncoderLayer(8, 2, 12, dropout=0.0, batch_first=True) for m in (nn, torch.nn))
    ours.load_state_dict({k: v.detach().numpy() for k, v in theirs.state_dict().items()})
    x, mask = normal(2, 4, 8), np.triu(np.ones((4, 4), bool), 1)
    padding = np.array([[False] * 4, [False, False, False, True]])
    mine = ours(st.tensor(x), src_mask=st.tensor(mask), src_key_padding_mask=st.tensor(padding))
    close(mine, theirs(torch.tensor(x), src_mask=torch.tensor(mask), src_key_padding_mask=torch.tensor(padding)), 5e-5)


def test_transformer_encoder_copies_its_layer():
    layer = nn.TransformerEncoderLayer(4, 2, 6, batch_first=True)
    encoder = nn.TransformerEncoder(layer, 2, norm=nn.LayerNorm(4))
    other = torch.nn.TransformerEncoder(
        torch.nn.TransformerEncoderLayer(4, 2, 6, batch_first=True), 2, norm=torch.nn.LayerNorm(4)
    )
    assert list(encoder.state_dict()) == list(other.state_dict())
    assert len({id(p) for p in encoder.parameters()}) == len(list(other.parameters()))
    encoder.eval()
    other.eval()
    with torch.no_grad():
        compare_state = {k: v.numpy() for k, v in other.state_dict().items()}
    encoder.load_state_dict(compare_state)
    x = normal(1, 3, 4)
    with torch.no_grad():
        close(encoder(st.tensor(x)), other(torch.tensor(x)), 5e-5)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("kwargs", [{}, {"num_layers": 2, "bidirectional": True}, {"batch_first": True, "bias": False}])
def test_recurrent(kind, kwargs):
    compare(getattr(nn, kind)(3, 4, **kwargs), getattr(torch.nn, kind)(3, 4, **kwargs), normal(3, 2, 3))


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_recurrent_states(kind):
    ours = getattr(nn, kind)(3, 4, num_layers=2, bidirectional=True)
    theirs = getattr(torch.nn, kind)(3, 4, num_layers=2, bidirectional=True)
    ours.load_state_dict({k: v.detach().numpy() for k, v in theirs.state_dict().items()})
    x, h, c = normal(3, 2, 3), normal(4, 2, 4), normal(4, 2, 4)
    a, b = ([(kind_(h), kind_(c)) if kind == "LSTM" else kind_(h)][0] for kind_ in (st.tensor, torch.tensor))
    mine, other = ours(st.tensor(x), a), theirs(torch.tensor(x), b)
    close(mine[0], other[0])
    for m, o in zip(mine[1], other[1]) if kind == "LSTM" else [(mine[1], other[1])]:
        close(m, o)


def test_recurrent_without_batch_and_relu():
    compare(nn.RNN(3, 4, nonlinearity="relu"), torch.nn.RNN(3, 4, nonlinearity="relu"), normal(5, 3))
