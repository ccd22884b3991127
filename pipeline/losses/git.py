"""Git loss: Center loss that also drives samples from the centres of the others.

Calefati et al. 2018: https://arxiv.org/abs/1807.08512
"""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from pipeline.losses.base import LossInput, LossSizes, register
from pipeline.losses.ce import cross_entropy
from pipeline.losses.center import CentreLoss, official_center, printed_center
from pipeline.settings import Ratio, Section


def printed_git(vectors: Tensor, labels: Tensor, centres: Tensor) -> Tensor:
    """The paper's eq. 7: sum over i != j of 1 / (1 + |x_i - c_yj|^2), the centres being those of the batch's samples.

    Vectors (B, D), labels (B,), centres (C, D) to (). As printed, two samples of one class count as a pair too, so that
    each is also pushed a little from its own centre.
    """
    own = centres[labels]
    squares = vectors.square().sum(-1)[:, None] + own.square().sum(-1)[None, :]
    distances = (squares - 2.0 * vectors @ own.T).clamp_min(0.0)  # (B, B)
    pushes = 1.0 / (1.0 + distances)
    return pushes.sum() - pushes.diagonal().sum()


def official_git(vectors: Tensor, labels: Tensor, centres: Tensor) -> Tensor:
    """The official code: mean over i, j and values d of 1 / (1 + (x_id - c_jd)^2), a masked diagonal counting 1.

    It works value by value, so it takes (B, B, D) memory: 8 MB at B = D = 128.
    """
    own = centres[labels]
    batch, width = vectors.shape
    pushes = 1.0 / (1.0 + (vectors[:, None, :] - own[None, :, :]).square())  # (B, B, D)
    masked = 1.0 / (1.0 + (vectors - own).square())  # the diagonal, which there is 1 / (1 + 0)
    total = pushes.sum() - masked.sum() + batch * width
    return total / (batch * batch * width)


@register("git")
class Git(CentreLoss):
    """CE + alpha_center * Center + alpha_git * Git, all centres of the embedding (of the fusion, for two branches)."""

    class Options(Section):
        """`losses.git:`."""

        form: Literal["printed", "official"]  # the paper's equations or the official code's
        alpha_center: Annotated[float, Field(ge=0.0)]
        alpha_git: Annotated[float, Field(ge=0.0)]
        centres: Literal["moving", "frozen"]  # frozen: as the official models' really are
        centre_rate: Ratio

    def __init__(self, options: Options, sizes: LossSizes, generator: torch.Generator) -> None:
        super().__init__(options, sizes, generator)
        self.alpha_center, self.alpha_git = options.alpha_center, options.alpha_git
        printed = options.form == "printed"
        self.center, self.git = (printed_center, printed_git) if printed else (official_center, official_git)
        self.rate = options.centre_rate if options.centres == "moving" else None
        self.hold_centres(sizes.classes, sizes.embedding, generator)

    def forward(self, batch: LossInput) -> Tensor:
        """Loss ()."""
        pull = self.alpha_center * self.center(batch.embedding, batch.labels, self.centres)
        push = self.alpha_git * self.git(batch.embedding, batch.labels, self.centres)
        self.move(batch.embedding, batch.labels)
        return cross_entropy(batch.logits, batch.labels) + pull + push
