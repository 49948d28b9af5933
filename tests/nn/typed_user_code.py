"""Typical code of a user, which `test_nn_types` has mypy check with --strict. It is not run."""

from __future__ import annotations

from typing_extensions import assert_type

import spiraltorch as st
from spiraltorch import nn, optim
from spiraltorch.data import digits
from spiraltorch.nn import functional as F


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, 2, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.gain = nn.Parameter(st.ones(width))
        self.register_buffer("scale", st.ones(width))

    def forward(self, x: st.Tensor, mask: st.Tensor | None = None) -> st.Tensor:
        y, weights = self.attention(self.norm(x), x, x, attn_mask=mask, need_weights=False)
        assert_type(weights, st.Tensor | None)
        x = x + y * self.scale * self.gain
        return x + self.mlp(x)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 8, kernel_size=(3, 3), padding="same")
        self.norm = nn.BatchNorm2d(8)
        self.pool = nn.MaxPool2d(2)
        self.blocks = nn.ModuleList([Block(8) for _ in range(2)])
        self.lstm = nn.LSTM(8, 8, batch_first=True)
        self.dropout = nn.Dropout(0.1)
        self.heads = nn.ModuleDict({"digit": nn.Linear(8, 10)})

    def forward(self, images: st.Tensor) -> st.Tensor:
        x = self.pool(F.relu(self.norm(self.conv(images))))
        x = x.flatten(2).permute(0, 2, 1)
        for block in self.blocks:
            x = block(x)
        x, (hidden, _) = self.lstm(x)
        assert_type(hidden, st.Tensor)
        assert_type(self.blocks[1:], nn.ModuleList)
        logits: st.Tensor = self.heads["digit"](self.dropout(x.mean(axis=1)))
        return logits


def initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def train(path: str) -> list[float]:
    model = Net().apply(initialise).to(st.float32).train()
    optimizer = optim.AdamW(
        [{"params": model.conv.parameters(), "lr": 1e-2}, {"params": [*model.blocks.parameters()]}], lr=1e-3
    )
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=10)
    plateau = optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=2)
    criterion = nn.CrossEntropyLoss(label_smoothing=0.1)

    @st.compile
    def step(images: st.Tensor, labels: st.Tensor) -> st.Tensor:
        optimizer.zero_grad()
        loss = criterion(model(images), labels)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.detach()

    images, labels, _, _ = digits()
    losses: list[float] = []
    for _ in range(3):
        loss = step(st.tensor(images[:32]), st.tensor(labels[:32]))
        losses.append(float(loss))
        schedule.step()
        plateau.step(loss)
        for group in optimizer.param_groups:
            group["lr"] *= 0.9
    st.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "losses": losses}, path)
    return losses


def restore(path: str) -> Net:
    checkpoint = st.load(path)
    model = Net()
    missing = model.load_state_dict(checkpoint["model"], strict=False).missing_keys
    assert_type(missing, list[str])
    optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True).load_state_dict(checkpoint["optimizer"])
    handle = model.register_forward_hook(lambda module, args, output: output * 2)
    with handle:
        assert_type(model(st.zeros(1, 1, 8, 8)), st.Tensor)
    assert_type(optim.Lion(model.parameters()).step(lambda: 3.0), float)
    assert_type(sum(p.numel() for p in model.parameters()), int)
    assert_type(model.conv.weight, nn.Parameter)
    assert_type(nn.Embedding(10, 3)(st.tensor([1])), st.Tensor)
    return model.eval()


# Mistakes that a type checker finds: without an error there, mypy complains that the comment is unused.
nn.Linear(2, "3")  # type: ignore[arg-type]
nn.Linear(2, 3)(3.0)  # type: ignore[arg-type]
nn.Linear(2, 3)(st.zeros(2), st.zeros(2))  # type: ignore[call-arg]
nn.Conv2d(1, 2, kernel_size=(3, 3, 3))  # type: ignore[arg-type]
optim.SGD(3.0)  # type: ignore[arg-type]
