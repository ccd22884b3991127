"""Layers of S networks at once: every parameter has a leading axis S, and no network feels its neighbours."""

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from torch.nn import functional as F

from pipeline.methods.layers import EPSILON


class _StackedAffine(torch.autograd.Function):
    """x W' + b for S networks, with gradients that do not depend on how many stand side by side.

    torch's own gradient of the bias sums a block of S slices in an order that S decides, so that a seed among three
    would differ from the seed alone in its last bits.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """(S, B, inputs), (S, outputs, inputs), (S, outputs) to (S, B, outputs)."""
        ctx.save_for_backward(x, weight)
        return torch.baddbmm(bias[:, None], x, weight.transpose(1, 2))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        """Gradients of x (if asked for), weight and bias."""
        (gradient,) = gradients
        x, weight = ctx.saved_tensors
        of_x = torch.bmm(gradient, weight) if ctx.needs_input_grad[0] else None
        of_bias = torch.stack([part.sum(dim=0) for part in gradient])  # one sum over all would depend on S
        return of_x, torch.bmm(gradient.transpose(1, 2), x), of_bias


_affine = cast(Callable[[Tensor, Tensor, Tensor], Tensor], _StackedAffine.apply)  # torch leaves it without types


class StackedLinear(nn.Module):
    """S affine maps."""

    def __init__(self, stack: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(stack, outputs, inputs))
        self.bias = nn.Parameter(torch.empty(stack, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(S, B, inputs) to (S, B, outputs)."""
        return _affine(x, self.weight, self.bias)


class StackedNorm(nn.Module):
    """S batch normalisations, each over its own batch."""

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, stack: int, width: int, momentum: float) -> None:
        super().__init__()
        self.momentum = momentum
        self.weight = nn.Parameter(torch.empty(stack, width))
        self.bias = nn.Parameter(torch.empty(stack, width))
        self.register_buffer("running_mean", torch.zeros(stack, width))
        self.register_buffer("running_var", torch.ones(stack, width))

    def forward(self, x: Tensor) -> Tensor:
        """(S, B, D) to (S, B, D), slice by slice: one call over all columns would round the last few otherwise."""
        parts = zip(
            x.unbind(0),
            self.running_mean.unbind(0),  # views, so that torch updates the buffers themselves
            self.running_var.unbind(0),
            self.weight.unbind(0),
            self.bias.unbind(0),
            strict=True,
        )
        return torch.stack([F.batch_norm(*part, self.training, self.momentum, EPSILON) for part in parts])


class StackedDropout(nn.Module):
    """Dropout whose S masks come from S generators: a network draws the same masks whatever stands beside it."""

    def __init__(self, generators: Sequence[torch.Generator], share: float) -> None:
        super().__init__()
        self.generators, self.share = generators, share

    def forward(self, x: Tensor) -> Tensor:
        """(S, B, D) to (S, B, D)."""
        if not self.training or self.share == 0.0:
            return x
        mask = torch.empty_like(x, requires_grad=False)
        for part, source in zip(mask, self.generators, strict=True):
            part.uniform_(generator=source)
        return x * mask.ge_(self.share).div_(1.0 - self.share)


class StackedScale(nn.Module):
    """S multiplications, each by its own learnt number."""

    def __init__(self, stack: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(stack, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(S, B, D) to (S, B, D)."""
        return x * self.weight[:, :, None]


class StackedLayers:
    """S networks at once; the generators, one a network, feed dropout and may be seeded anew by their owner."""

    def __init__(self, generators: Sequence[torch.Generator]) -> None:
        self.generators = generators

    def linear(self, inputs: int, outputs: int) -> nn.Module:
        """StackedLinear."""
        return StackedLinear(len(self.generators), inputs, outputs)

    def norm(self, width: int, momentum: float) -> nn.Module:
        """StackedNorm."""
        return StackedNorm(len(self.generators), width, momentum)

    def dropout(self, share: float) -> nn.Module:
        """StackedDropout."""
        return StackedDropout(self.generators, share)

    def scale(self) -> nn.Module:
        """StackedScale."""
        return StackedScale(len(self.generators))
