"""Git loss: Center loss that also drives samples from the centres of the others.

Calefati et al. 2018: https://arxiv.org/abs/1807.08512
"""

from typing import Literal

from torch import Tensor

from pipeline.losses.center import official_center, printed_center
from pipeline.losses.centres import of_labels
from pipeline.losses.cross_entropy import cross_entropy
from pipeline.losses.registry import Output, register
from pipeline.settings import TrainSettings


def printed_git(vectors: Tensor, labels: Tensor, centres: Tensor) -> Tensor:
    """The paper's eq. 7: sum over i != j of 1 / (1 + |x_i - c_yj|^2), the centres being those of the batch's samples.

    Vectors (..., B, D), labels (..., B), centres (..., C, D) to (...). As printed, two samples of one class count as a
    pair too, so that each is also pushed a little from its own centre.
    """
    own = of_labels(centres, labels)
    squares = vectors.square().sum(-1)[..., :, None] + own.square().sum(-1)[..., None, :]
    distances = (squares - 2.0 * vectors @ own.transpose(-2, -1)).clamp_min(0.0)  # (..., B, B)
    pushes = 1.0 / (1.0 + distances)
    return pushes.sum(dim=(-2, -1)) - pushes.diagonal(dim1=-2, dim2=-1).sum(dim=-1)


def official_git(vectors: Tensor, labels: Tensor, centres: Tensor) -> Tensor:
    """The official code: mean over i, j and values d of 1 / (1 + (x_id - c_jd)^2), a masked diagonal counting 1.

    It works value by value, so it takes (..., B, B, D) memory: 8 MB a network at B = D = 128.
    """
    own = of_labels(centres, labels)
    batch, width = vectors.shape[-2:]
    pushes = 1.0 / (1.0 + (vectors[..., :, None, :] - own[..., None, :, :]).square())  # (..., B, B, D)
    masked = 1.0 / (1.0 + (vectors - own).square())  # the diagonal, which there is 1 / (1 + 0)
    total = pushes.sum(dim=(-3, -2, -1)) - masked.sum(dim=(-2, -1)) + batch * width
    return total / (batch * batch * width)


@register("git")
class Git:
    """CE + alpha_center * Center + alpha_git * Git, all centres of the embedding (of the fusion, for two branches)."""

    centres_on: Literal["embedding"] = "embedding"

    def __init__(self, settings: TrainSettings) -> None:
        self.alpha_center, self.alpha_git = settings.alpha_center, settings.alpha_git
        printed = settings.loss_form == "printed"
        self.center, self.git = (printed_center, printed_git) if printed else (official_center, official_git)

    def __call__(self, output: Output, labels: Tensor, centres: Tensor | None) -> Tensor:
        """Loss (...)."""
        assert centres is not None, "Git loss needs centres"
        pull = self.alpha_center * self.center(output.embedding, labels, centres)
        push = self.alpha_git * self.git(output.embedding, labels, centres)
        return cross_entropy(output.logits, labels) + pull + push
