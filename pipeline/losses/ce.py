"""Cross entropy of the identity classifier."""

import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.losses.base import Loss, LossInput, LossSizes, register
from pipeline.settings import Section


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean over the batch of -log softmax(logits)[label]: logits (B, C) and labels (B,) to ()."""
    return F.cross_entropy(logits, labels)


@register("ce")
class CrossEntropy(Loss):
    """Cross entropy alone."""

    class Options(Section):
        """It has none."""

    def __init__(self, options: Options, sizes: LossSizes, generator: torch.Generator) -> None:
        super().__init__(options, sizes, generator)

    def forward(self, batch: LossInput) -> Tensor:
        """Loss ()."""
        return cross_entropy(batch.logits, batch.labels)
