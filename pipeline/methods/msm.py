"""MSM: FOP's two branches before a classifier that is fixed, the corners of a simplex (2026, https://arxiv.org/abs/2601.13651).

C classes get C unit vectors in C - 1 dimensions, as far from each other as they can be (each two at cosine -1 / (C -
1)), which never move; the logits of a fusion x are x P. The branches and their fusion are as wide as that, C - 1, so
that the network grows with the number of people. Everything else is two_branch, with `loss: fop` as published
(hcai-mms/MSM-face-voice `retrieval_model.py`; its stored prototypes are these up to a rotation).
"""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from pipeline.losses.base import LossInput
from pipeline.methods.base import Batch, Method, Sizes, register
from pipeline.methods.layers import initialise
from pipeline.methods.two_branch import TwoBranch
from pipeline.settings import Section


def simplex(classes: int) -> Tensor:
    """Corners (C, C - 1) of a regular simplex around the origin, unit norm.

    The rows of the Helmert matrix are an orthonormal basis of what C unit axes span once their mean is taken away.
    """
    order = torch.arange(1, classes, dtype=torch.float64)[:, None]  # (C - 1, 1)
    place = torch.arange(classes, dtype=torch.float64)
    basis = ((place < order).double() - order * (place == order).double()) / (order * (order + 1.0)).sqrt()
    corners: Tensor = basis.T * (classes / (classes - 1.0)) ** 0.5
    return corners.float().contiguous()


class Corners(nn.Module):
    """A classifier that does not learn."""

    weight: Tensor  # (C, C - 1)

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.in_features = classes - 1
        self.register_buffer("weight", simplex(classes))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C - 1) to logits (B, C)."""
        logits: Tensor = x @ self.weight.T
        return logits


@register("msm")
class MSM(Method):
    """Two branches before the corners of a simplex."""

    class Options(Section):
        """`methods.msm:`."""

        fusion: Literal["gated", "linear"]
        batch_norm_momentum: Annotated[float, Field(gt=0.0, le=1.0)]  # weight of the newest batch
        dropout: Annotated[float, Field(ge=0.0, lt=1.0)]  # .91 in the authors' code

    takes = "pairs"

    def __init__(self, options: Options, sizes: Sizes, modality: str, generator: torch.Generator) -> None:
        super().__init__(options, sizes, modality, generator)
        self.network = TwoBranch(
            sizes.face,
            sizes.voice,
            sizes.classes - 1,
            sizes.classes,
            fusion=options.fusion,
            dropout=options.dropout,
            momentum=options.batch_norm_momentum,
        )
        self.network.classifier = Corners(sizes.classes)  # type: ignore[assignment]  # in the place of a linear layer
        initialise(self.network, generator, 0.0)

    @property
    def width(self) -> int:
        """C - 1."""
        return self.sizes.classes - 1

    def see(self, batch: Batch) -> LossInput:
        """Pairs to their fusion and its logits, and what is compared of either side."""
        output = self.network(batch.faces, batch.voices)
        return LossInput(output.embedding, output.logits, batch.labels, face=output.face, voice=output.voice)

    def embed(self, modality: str, vectors: Tensor) -> Tensor:
        """(N, D) to (N, C - 1)."""
        return self.network.embed(modality, vectors)
