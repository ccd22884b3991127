"""The layers that the networks share, and how they begin."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

EPSILON = 1e-5  # of batch normalisation, in both halves of the official code


class Scale(nn.Module):
    """x times one learnt number."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, D) to (B, D)."""
        return x * self.weight


class Dropout(nn.Module):
    """nn.Dropout by uniform numbers, which on a CPU takes a third of the time: a tenth of a whole step."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        """(B, D) to (B, D): each value zero with probability `share`, in training."""
        if not self.training or self.share == 0.0:
            return x
        kept = torch.empty_like(x, requires_grad=False).uniform_().ge_(self.share)
        return x * kept.div_(1.0 - self.share)


class Dense(nn.Module):
    """Linear, batch normalisation (or none), ReLU, dropout."""

    def __init__(self, inputs: int, outputs: int, *, norm: bool, momentum: float, dropout: float) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        self.norm = nn.BatchNorm1d(outputs, eps=EPSILON, momentum=momentum) if norm else nn.Identity()
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs) to (B, outputs), not below zero."""
        hidden: Tensor = self.dropout(F.relu(self.norm(self.linear(x))))
        return hidden


def initialise(network: nn.Module, generator: torch.Generator, bias: float) -> None:
    """Xavier-uniform weights and constant biases, as in the official code; fusion scalars uniform in [0, 1).

    These scalars are so in its PyTorch half (torch.rand); its TensorFlow half, +-sqrt(3), is not followed.
    """
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight, generator=generator)
            nn.init.constant_(module.bias, bias)
        elif isinstance(module, Scale):
            nn.init.uniform_(module.weight, generator=generator)
