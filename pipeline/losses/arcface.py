"""ArcFace, softmax over angles with an additive margin (Deng et al. 2019, https://arxiv.org/abs/1801.07698)."""

from typing import Annotated

import torch
from pydantic import Field
from pytorch_metric_learning.losses import ArcFaceLoss
from torch import Tensor, nn

from pipeline.losses.base import Loss, LossInput, LossSizes, register
from pipeline.settings import Positive, Section


@register("arcface")
class ArcFace(Loss):
    """Cross entropy of scale * cos(angle to the class + margin), with a weight vector a class of its own.

    Faces and voices of a person share that vector, which is what brings them together; of pairs, the face and the
    voice both count. The network's own classifier gets no gradient.
    """

    class Options(Section):
        """`losses.arcface:`."""

        margin: Annotated[float, Field(ge=0.0, lt=90.0)]  # degrees
        scale: Positive

    def __init__(self, options: Options, sizes: LossSizes, generator: torch.Generator) -> None:
        super().__init__(options, sizes, generator)
        self.arcface = ArcFaceLoss(sizes.classes, sizes.embedding, margin=options.margin, scale=options.scale)
        nn.init.normal_(self.arcface.W, generator=generator)  # (E, C); the library takes torch's global generator

    def forward(self, batch: LossInput) -> Tensor:
        """Loss ()."""
        faces, shown, voices, heard = batch.sides()
        found: Tensor = self.arcface(torch.cat([faces, voices]), torch.cat([shown, heard]))
        return found
