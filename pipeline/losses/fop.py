"""FOP: cross entropy with orthogonality constraints (Saeed et al. 2022, https://arxiv.org/abs/2112.10483)."""

import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.losses.cross_entropy import cross_entropy
from pipeline.losses.registry import Output, register
from pipeline.settings import TrainSettings

_NEGATIVE_WEIGHT = 0.7  # of the official code (ssnet_fop/main.py, OrthogonalProjectionLoss); the paper has none
_NO_PAIRS = 1e-6  # added to the number of pairs there, so that a batch without any divides


def printed_constraint(features: Tensor, labels: Tensor) -> Tensor:
    """The paper's eq. 1: 1 - (sum of the cosines of positive pairs) + |sum of the cosines of negative pairs|.

    Features (..., B, D) and labels (..., B) to (...). Pairs are ordered and no sample pairs with itself. Sums, not
    means: it grows with the square of the batch.
    """
    cosines, same, other = _pairs(features, labels)
    return 1.0 - (cosines * same).sum(dim=(-2, -1)) + (cosines * other).sum(dim=(-2, -1)).abs()


def official_constraint(features: Tensor, labels: Tensor) -> Tensor:
    """The official code: (1 - mean cosine of positive pairs) + 0.7 * mean |cosine| of negative pairs.

    Features (..., B, D) and labels (..., B) to (...).
    """
    cosines, same, other = _pairs(features, labels)
    positive = (cosines * same).sum(dim=(-2, -1)) / (same.sum(dim=(-2, -1)) + _NO_PAIRS)
    negative = (cosines * other).abs().sum(dim=(-2, -1)) / (other.sum(dim=(-2, -1)) + _NO_PAIRS)
    return (1.0 - positive) + _NEGATIVE_WEIGHT * negative


def _pairs(features: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    unit = F.normalize(features, dim=-1)
    cosines = unit @ unit.transpose(-2, -1)  # (..., B, B)
    equal = labels[..., :, None] == labels[..., None, :]
    itself = torch.eye(labels.shape[-1], dtype=torch.bool, device=labels.device)
    return cosines, (equal & ~itself).to(cosines.dtype), (~equal).to(cosines.dtype)


@register("fop")
class FOP:
    """CE + alpha * constraint; the constraint acts on the embedding, in the two-branch network on the fusion."""

    centres_on = None

    def __init__(self, settings: TrainSettings) -> None:
        self.alpha = settings.alpha
        self.constraint = printed_constraint if settings.loss_form == "printed" else official_constraint

    def __call__(self, output: Output, labels: Tensor, centres: Tensor | None) -> Tensor:
        """Loss (...)."""
        return cross_entropy(output.logits, labels) + self.alpha * self.constraint(output.embedding, labels)
