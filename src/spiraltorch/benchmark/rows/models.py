"""Models, each written once for the `nn` of any library of PyTorch's kind."""

from __future__ import annotations

from typing import Any

from ..libraries import Model
from ..row import LibraryTensor


def mlp(nn: Any, inside: int, width: int, classes: int) -> Model:
    """An MLP with two hidden layers."""
    return nn.Sequential(
        nn.Linear(inside, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, classes)
    )


def convnet(nn: Any, side: int, width: int) -> Model:
    """Two convolutions, a pooling and two linear layers, for images of `side` x `side` pixels with one channel."""
    return nn.Sequential(
        nn.Conv2d(1, width, 3), nn.ReLU(), nn.Conv2d(width, 2 * width, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(2 * width * ((side - 4) // 2) ** 2, 4 * width), nn.ReLU(), nn.Linear(4 * width, 10),
    )  # fmt: skip


def block(nn: Any, d: int, h: int) -> Model:
    """A pre-norm transformer block without dropout."""
    return nn.TransformerEncoderLayer(
        d, h, 4 * d, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    )  # fmt: skip


def resnet18(nn: Any, width: int, classes: int) -> Model:
    """ResNet-18 (He et al., 2015, arXiv:1512.03385, table 1) with `width` channels in its first stage instead of 64."""

    class Basic(nn.Module):  # type: ignore[misc]
        def __init__(self, inside: int, outside: int, stride: int) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(inside, outside, 3, stride=stride, padding=1, bias=False)
            self.bn1 = nn.BatchNorm2d(outside)
            self.conv2 = nn.Conv2d(outside, outside, 3, padding=1, bias=False)
            self.bn2 = nn.BatchNorm2d(outside)
            self.relu = nn.ReLU()
            self.short = nn.Identity()
            if stride != 1 or inside != outside:
                self.short = nn.Sequential(
                    nn.Conv2d(inside, outside, 1, stride=stride, bias=False), nn.BatchNorm2d(outside)
                )

        def forward(self, x: LibraryTensor) -> LibraryTensor:
            inner = self.relu(self.bn1(self.conv1(x)))
            return self.relu(self.bn2(self.conv2(inner)) + self.short(x))

    stages: list[Model] = []
    inside = width
    for stage in range(4):
        outside = width << stage
        stages += [Basic(inside, outside, 1 if stage == 0 else 2), Basic(outside, outside, 1)]
        inside = outside
    return nn.Sequential(
        nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
        nn.MaxPool2d(3, stride=2, padding=1), *stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inside, classes),
    )  # fmt: skip


def gpt(nn: Any, vocabulary: int, context: int, d: int, h: int, depth: int) -> Model:
    """GPT-2 (Radford et al., 2019): learned positions, pre-norm blocks, the output tied to the embedding."""

    class Block(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.ln_1 = nn.LayerNorm(d)
            self.attn = nn.Linear(d, 3 * d)
            self.proj = nn.Linear(d, d)
            self.ln_2 = nn.LayerNorm(d)
            self.mlp = nn.Sequential(nn.Linear(d, 4 * d), nn.GELU(approximate="tanh"), nn.Linear(4 * d, d))

        def forward(self, x: LibraryTensor) -> LibraryTensor:
            b, t, _ = x.shape
            q, k, v = (
                part.reshape(b, t, h, d // h).swapaxes(1, 2) for part in self.attn(self.ln_1(x)).split(d, -1)
            )  # fmt: skip
            mixed = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.proj(mixed.swapaxes(1, 2).reshape(b, t, d))
            return x + self.mlp(self.ln_2(x))

    class Decoder(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.wte = nn.Embedding(vocabulary, d)
            self.wpe = nn.Embedding(context, d)
            self.blocks = nn.ModuleList([Block() for _ in range(depth)])
            self.ln_f = nn.LayerNorm(d)

        def forward(self, tokens: LibraryTensor) -> LibraryTensor:
            x = self.wte(tokens) + self.wpe.weight[: tokens.shape[1]]
            for inner in self.blocks:
                x = inner(x)
            return nn.functional.linear(self.ln_f(x), self.wte.weight)

    return Decoder()
