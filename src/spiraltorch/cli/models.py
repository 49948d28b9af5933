"""The demo's three models of 8x8 images of digits, with their training recipes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .. import nn
from ..tensor import Tensor


def mlp() -> nn.Module:
    """An MLP with two hidden layers."""
    return nn.Sequential(
        nn.Flatten(), nn.Linear(64, 256), nn.GELU(), nn.Dropout(0.2), nn.Linear(256, 256), nn.GELU(), nn.Dropout(0.2),
        nn.Linear(256, 10),
    )  # fmt: skip


def convnet() -> nn.Module:
    """Two convolutions, a pooling and two linear layers."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(0.25), nn.Linear(64 * 16, 128), nn.ReLU(), nn.Dropout(0.25), nn.Linear(128, 10),
    )  # fmt: skip


class Transformer(nn.Module):
    """One token for each row of pixels, two pre-norm encoder layers, and the mean of the tokens."""

    def __init__(self, width: int = 64, heads: int = 4, depth: int = 2) -> None:
        super().__init__()
        self.row = nn.Conv2d(1, width, (1, 8))
        self.place = nn.Embedding(8, width)
        nn.init.normal_(self.place.weight, std=0.1)  # the default of 1 would outweigh the pixels
        self.layers = nn.ModuleList(
            [
                nn.TransformerEncoderLayer(width, heads, 2 * width, dropout=0.1, batch_first=True, norm_first=True)
                for _ in range(depth)
            ]
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Scores of shape (n, 10) for images of shape (n, 1, 8, 8)."""
        tokens = self.row(x).flatten(2).swapaxes(1, 2) + self.place.weight
        for layer in self.layers:
            tokens = layer(tokens)
        scores: Tensor = self.head(self.norm(tokens).mean(axis=1))
        return scores


@dataclass(frozen=True)
class Recipe:
    """A model and how it is trained.

    Args:
        build: returns the model.
        epochs: the default number of epochs.
        batch: the batch size.
        rate: the maximum learning rate.
        shift: shifts each image by up to one pixel, at random in each epoch.
    """

    build: Callable[[], nn.Module]
    epochs: int
    batch: int
    rate: float
    shift: bool = True


MODELS = {
    "mlp": Recipe(mlp, epochs=40, batch=32, rate=5e-3),
    "convnet": Recipe(convnet, epochs=20, batch=64, rate=3e-3),
    "transformer": Recipe(
        Transformer, epochs=25, batch=64, rate=2e-3, shift=False
    ),  # the data set is too small for it to learn shifts
}
