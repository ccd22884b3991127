"""Center loss: samples are drawn to the centre of their class, a vector that moves towards them or stays.

Wen et al. 2016: https://doi.org/10.1007/978-3-319-46478-7_31
"""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from pipeline.losses.base import Loss, LossInput, LossSizes, register
from pipeline.losses.ce import cross_entropy
from pipeline.settings import Ratio, Section


def printed_center(vectors: Tensor, labels: Tensor, centres: Tensor) -> Tensor:
    """The paper's eq. 4: half the sum over the batch of squared distances to the own centre.

    Vectors (B, D), labels (B,), centres (C, D) to ().
    """
    return 0.5 * (vectors - centres[labels]).square().sum()


def official_center(vectors: Tensor, labels: Tensor, centres: Tensor) -> Tensor:
    """The official code (ssnet_cent_git/retrieval_model.py): mean of the squared differences, over values as well."""
    return (vectors - centres[labels]).square().mean()


def initial_centres(classes: int, width: int, generator: torch.Generator) -> Tensor:
    """Xavier-uniform centres (C, D). The official models' are these still: their code never runs the update."""
    return nn.init.xavier_uniform_(torch.empty(classes, width), generator=generator)


def moved_centres(centres: Tensor, vectors: Tensor, labels: Tensor, rate: float) -> Tensor:
    """Centres (C, D) after a batch of vectors (B, D) with labels (B,); the paper's eqs. 5 and 6.

    c <- c - rate * sum(c - x) / (1 + n) over the n samples x of the class; a class without samples stays.
    """
    pulls = centres[labels] - vectors
    sums = torch.zeros_like(centres).index_add_(0, labels, pulls)
    counts = torch.zeros_like(centres[:, 0]).index_add_(0, labels, torch.ones_like(pulls[:, 0]))
    return centres - rate * sums / (1.0 + counts)[:, None]


class CentreLoss(Loss):
    """A loss with class centres, which get no gradient."""

    centres: Tensor  # (C, D)

    def __init__(self, options: Section, sizes: LossSizes, generator: torch.Generator) -> None:
        super().__init__(options, sizes, generator)
        self.rate: float | None = None  # None: the centres stay

    def hold_centres(self, classes: int, width: int, generator: torch.Generator) -> None:
        """Begin with Xavier-uniform centres (classes, width)."""
        self.register_buffer("centres", initial_centres(classes, width, generator))

    def move(self, vectors: Tensor, labels: Tensor) -> None:
        """In training, let the centres follow a batch; the loss of this batch keeps the centres that it saw."""
        if self.training and self.rate is not None:
            self.centres = moved_centres(self.centres, vectors.detach(), labels, self.rate)


@register("center")
class Center(CentreLoss):
    """CE + alpha * Center."""

    class Options(Section):
        """`losses.center:`."""

        form: Literal["printed", "official"]  # the paper's equation or the official code's
        alpha: Annotated[float, Field(ge=0.0)]  # weight of Center
        acts_on: Literal["embedding", "logits"]  # logits: as in the official single branch
        centres: Literal["moving", "frozen"]  # frozen: as the official models' really are
        centre_rate: Ratio

    def __init__(self, options: Options, sizes: LossSizes, generator: torch.Generator) -> None:
        super().__init__(options, sizes, generator)
        self.alpha, self.on_logits = options.alpha, options.acts_on == "logits"
        self.center = official_center if options.form == "official" else printed_center
        self.rate = options.centre_rate if options.centres == "moving" else None
        self.hold_centres(sizes.classes, sizes.classes if self.on_logits else sizes.embedding, generator)

    def forward(self, batch: LossInput) -> Tensor:
        """Loss ()."""
        vectors = batch.logits if self.on_logits else batch.embedding
        pull = self.alpha * self.center(vectors, batch.labels, self.centres)
        self.move(vectors, batch.labels)
        return cross_entropy(batch.logits, batch.labels) + pull
