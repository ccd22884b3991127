"""The layers that the networks are built of, in two kinds: torch's own, and S of them at once (stacked.py).

A network's forward pass is written once. Built with `PlainLayers` it takes (B, D); built with `StackedLayers` every
parameter has a leading axis S and it takes (S, B, D): S networks that never meet, trained in one step. Names and order
of parameters are the same in both, so that slice s of the one is the other.
"""

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

EPSILON = 1e-5  # of batch normalisation, in both halves of the official code


class Layers(Protocol):
    """A kind of layers."""

    def linear(self, inputs: int, outputs: int) -> nn.Module:
        """Affine map of the last axis."""
        ...

    def norm(self, width: int, momentum: float) -> nn.Module:
        """Batch normalisation over the axis before the last."""
        ...

    def dropout(self, share: float) -> nn.Module:
        """Dropout of each value by itself."""
        ...

    def scale(self) -> nn.Module:
        """Multiplication by one learnt number."""
        ...


class Scale(nn.Module):
    """x times one learnt number."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, D) to (B, D)."""
        return x * self.weight


class PlainLayers:
    """One network: torch's own layers."""

    def linear(self, inputs: int, outputs: int) -> nn.Module:
        """nn.Linear."""
        return nn.Linear(inputs, outputs)

    def norm(self, width: int, momentum: float) -> nn.Module:
        """nn.BatchNorm1d."""
        return nn.BatchNorm1d(width, eps=EPSILON, momentum=momentum)

    def dropout(self, share: float) -> nn.Module:
        """nn.Dropout."""
        return nn.Dropout(share)

    def scale(self) -> nn.Module:
        """Scale."""
        return Scale()


class Dense(nn.Module):
    """Linear, batch normalisation (or none), ReLU, dropout."""

    def __init__(
        self, layers: Layers, inputs: int, outputs: int, *, norm: bool, momentum: float, dropout: float
    ) -> None:
        super().__init__()
        self.linear = layers.linear(inputs, outputs)
        self.norm = layers.norm(outputs, momentum) if norm else nn.Identity()
        self.dropout = layers.dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(..., B, inputs) to (..., B, outputs), not below zero."""
        hidden: Tensor = self.dropout(F.relu(self.norm(self.linear(x))))
        return hidden
