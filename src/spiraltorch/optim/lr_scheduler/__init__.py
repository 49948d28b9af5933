"""Learning-rate schedules with PyTorch's names and numbers.

A scheduler writes Python numbers into the optimizer's groups, which carry them into compiled steps; `step()` itself
stays outside of compiled functions. The formulas are recursive, as PyTorch's: each step changes the rate that it
finds, so schedules can be chained.
"""

from __future__ import annotations

from .base import LRScheduler
from .cosine import CosineAnnealingLR, CosineAnnealingWarmRestarts, WarmupCosineLR
from .decay import ExponentialLR, LambdaLR, MultiStepLR, PolynomialLR, StepLR
from .linear import ConstantLR, LinearLR
from .one_cycle import OneCycleLR
from .plateau import ReduceLROnPlateau
from .sequential import SequentialLR

__all__ = [
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
    "WarmupCosineLR",
]
