"""FOP: cross entropy with orthogonality constraints (Saeed et al. 2022, https://arxiv.org/abs/2112.10483)."""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from pipeline.losses.base import Loss, LossInput, LossSizes, register
from pipeline.losses.ce import cross_entropy
from pipeline.settings import Section

_NEGATIVE_WEIGHT = 0.7  # of the official code (ssnet_fop/main.py, OrthogonalProjectionLoss); the paper has none
_NO_PAIRS = 1e-6  # added to the number of pairs there, so that a batch without any divides


def printed_constraint(features: Tensor, labels: Tensor) -> Tensor:
    """The paper's eq. 1: 1 - (sum of the cosines of positive pairs) + |sum of the cosines of negative pairs|.

    Features (B, D) and labels (B,) to (). Pairs are ordered and no sample pairs with itself. Sums, not means: it grows
    with the square of the batch.
    """
    cosines, same, other = _pairs(features, labels)
    return 1.0 - (cosines * same).sum() + (cosines * other).sum().abs()


def official_constraint(features: Tensor, labels: Tensor) -> Tensor:
    """The official code: (1 - mean cosine of positive pairs) + 0.7 * mean |cosine| of negative pairs.

    Features (B, D) and labels (B,) to ().
    """
    cosines, same, other = _pairs(features, labels)
    positive = (cosines * same).sum() / (same.sum() + _NO_PAIRS)
    negative = (cosines * other).abs().sum() / (other.sum() + _NO_PAIRS)
    return (1.0 - positive) + _NEGATIVE_WEIGHT * negative


def _pairs(features: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    unit = F.normalize(features, dim=-1)
    cosines = unit @ unit.T  # (B, B)
    equal = labels[:, None] == labels[None, :]
    itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    return cosines, (equal & ~itself).to(cosines.dtype), (~equal).to(cosines.dtype)


@register("fop")
class FOP(Loss):
    """CE + alpha * constraint; the constraint acts on the embedding, in the two-branch network on the fusion."""

    class Options(Section):
        """`losses.fop:`."""

        form: Literal["printed", "official"]  # the paper's equation or the official code's
        alpha: Annotated[float, Field(ge=0.0)]  # weight of the constraint

    def __init__(self, options: Options, sizes: LossSizes, generator: torch.Generator) -> None:
        super().__init__(options, sizes, generator)
        self.alpha = options.alpha
        self.constraint = printed_constraint if options.form == "printed" else official_constraint

    def forward(self, batch: LossInput) -> Tensor:
        """Loss ()."""
        return cross_entropy(batch.logits, batch.labels) + self.alpha * self.constraint(batch.embedding, batch.labels)
