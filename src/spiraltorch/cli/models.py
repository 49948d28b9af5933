"""The demo's three models for 8x8 images of digits, and how each is trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .. import nn


def mlp() -> nn.Module:
    """Two hidden layers."""
    return nn.Sequential(
        nn.Flatten(), nn.Linear(64, 256), nn.GELU(), nn.Dropout(0.2), nn.Linear(256, 256), nn.GELU(), nn.Dropout(0.2),
        nn.Linear(256, 10),
    )  # fmt: skip


def convnet() -> nn.Module:
    """Two convolutions, a pooling, two linear layers."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(0.25), nn.Linear(64 * 16, 128), nn.ReLU(), nn.Dropout(0.25), nn.Linear(128, 10),
    )  # fmt: skip


class Transformer(nn.Module):
    """Eight tokens, one for each row of pixels; two pre-norm encoder layers; the mean of the tokens."""

    def __init__(self, width: int = 64, heads: int = 4, depth: int = 2) -> None:
        super().__init__()
        self.row = nn.Conv2d(1, width, (1, 8))
        self.place = nn.Embedding(8, width)
        nn.init.normal_(self.place.weight, std=0.1)  # with the usual 1 a token's place would drown its pixels
        self.layers = nn.ModuleList(
            [
                nn.TransformerEncoderLayer(width, heads, 2 * width, dropout=0.1, batch_first=True, norm_first=True)
                for _ in range(depth)
            ]
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 10)

    def forward(self, x: Any) -> Any:
        """Scores of shape (n, 10) for images of shape (n, 1, 8, 8)."""
        tokens = self.row(x).flatten(2).swapaxes(1, 2) + self.place.weight
        for layer in self.layers:
            tokens = layer(tokens)
        return self.head(self.norm(tokens).mean(axis=1))


@dataclass(frozen=True)
class Recipe:
    """A model and its training. `shift`: each image is moved by up to one pixel, anew in each epoch."""

    build: Callable[[], nn.Module]
    epochs: int
    batch: int
    rate: float
    shift: bool = True


MODELS = {
    "mlp": Recipe(mlp, epochs=40, batch=32, rate=5e-3),
    "convnet": Recipe(convnet, epochs=20, batch=64, rate=3e-3),
    "transformer": Recipe(Transformer, epochs=25, batch=64, rate=2e-3, shift=False),  # too few images to learn shifts
}
