"""Disentangled representation learning, DRL (Ning et al. 2021, https://doi.org/10.1109/TMM.2021.3071243).

Of each modality one encoder finds what both share, c, another what is its own, p, and a decoder R makes the vector
again from the sum of a shared and an own part, be the shared one of the same modality or of the other:

    L = (CE(W c_f, y) + CE(W c_v, y)) / 2
        + a (|f - R_f(c_f + p_f)|^2 + |f - R_f(c_v + p_f)|^2 + |v - R_v(c_v + p_v)|^2 + |v - R_v(c_f + p_v)|^2)
        + b (cos(c_f, p_f)^2 + cos(c_v, p_v)^2), means over the batch.

The cosine of c_f and c_v is compared. The losses are those of my-yy/vfal-eva `models/de_hq3_model.py`, with these
departures:

- Encoders are those of the other rivals: without that code's last ReLU, for parts that are nowhere below zero can only
  be orthogonal where one of them is silent (EER 38 in the place of 27 on the shipped corpus).
- The decoder's last layer is linear, for a tanh cannot reach vectors that are not within its limits.
- Cross entropy is the mean of both modalities, half of the sum there, as in multi_view and dimnet.
- The squared error is a sum over the values of a vector, whose mean is below .01 for vectors of unit norm.
- Orthogonality is of the two parts of one vector, by the square of their cosine, as a mean over the batch. There the
  cosine itself is summed over the batch, which without the last ReLU would turn parts against each other, and beside it
  stand the Frobenius norms of c_f p_f', of c_v p_v' and of (c_f * c_v)(p_f + p_v)' over all pairs of a batch
  (`loss_mutual_level`, `loss_and_or`), which grow with it and are left out here.
"""

from collections.abc import Mapping
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.losses.base import Loss, LossInput
from pipeline.methods.adam import Adam
from pipeline.methods.base import Batch, Method, Sizes, register, step
from pipeline.methods.encoders import EncoderOptions, encoder, pairs_of, stacked
from pipeline.methods.layers import initialise

SIDES = ("face", "voice")


def orthogonality(shared: Tensor, own: Tensor) -> Tensor:
    """Mean () of the squared cosines of shared (B, E) and own parts (B, E)."""
    return F.cosine_similarity(shared, own, dim=-1).square().mean()


def squared_error(vectors: Tensor, made: Tensor) -> Tensor:
    """Mean () over the batch of the squared distances of vectors (B, D) from what was made of them."""
    return (vectors - made).square().sum(dim=-1).mean()


class Decoder(nn.Module):
    """Parts of a vector to the vector."""

    def __init__(self, embedding: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(embedding, hidden), nn.Tanh(), nn.Linear(hidden, outputs))

    def forward(self, parts: Tensor) -> Tensor:
        """(B, E) to (B, outputs)."""
        made: Tensor = self.layers(F.normalize(parts, dim=-1))
        return made


@register("drl")
class DRL(Method):
    """Shared and own parts of each modality; the run's loss acts on the shared ones, `loss: ce` as published."""

    class Options(EncoderOptions):
        """`methods.drl:`."""

        reconstruction: Annotated[float, Field(ge=0.0)]  # a
        orthogonality: Annotated[float, Field(ge=0.0)]  # b

    takes = "pairs"

    def __init__(self, options: Options, sizes: Sizes, modality: str, generator: torch.Generator) -> None:
        super().__init__(options, sizes, modality, generator)
        self.options = options
        widths = {"face": sizes.face, "voice": sizes.voice}
        self.shared = nn.ModuleDict({side: encoder(width, options) for side, width in widths.items()})
        self.own = nn.ModuleDict({side: encoder(width, options) for side, width in widths.items()})
        decoders = {side: Decoder(options.embedding, options.hidden, width) for side, width in widths.items()}
        self.decoders = nn.ModuleDict(decoders)
        self.classifier = nn.Linear(options.embedding, sizes.classes)
        initialise(self, generator, 0.0)

    @property
    def width(self) -> int:
        """E."""
        return self.options.embedding

    def see(self, batch: Batch) -> LossInput:
        """Pairs to the shared parts of their faces and then their voices."""
        shared, _ = self.parts(batch)
        return stacked(shared["face"], shared["voice"], self.classifier, batch.labels)

    def parts(self, batch: Batch) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Shared and own parts (B, E) of faces and voices."""
        vectors = dict(zip(SIDES, pairs_of(batch), strict=True))
        return (
            {side: self.shared[side](value) for side, value in vectors.items()},
            {side: self.own[side](value) for side, value in vectors.items()},
        )

    def training_step(self, batch: Batch, loss: Loss, optimisers: Mapping[str, Adam]) -> Tensor:
        """One step of all three parts of the loss."""
        shared, own = self.parts(batch)
        value = loss(stacked(shared["face"], shared["voice"], self.classifier, batch.labels))
        return step(value + self.disentangling_loss(batch, shared, own), optimisers)

    def disentangling_loss(self, batch: Batch, shared: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> Tensor:
        """Reconstruction and orthogonality () of parts (B, E) by modality."""
        vectors = dict(zip(SIDES, pairs_of(batch), strict=True))
        errors = [
            squared_error(vectors[side], self.decoders[side](shared[other] + own[side]))
            for side in SIDES
            for other in SIDES
        ]
        apart = [orthogonality(shared[side], own[side]) for side in SIDES]
        return self.options.reconstruction * torch.stack(errors).sum() + (
            self.options.orthogonality * torch.stack(apart).sum()
        )

    def embed(self, modality: str, vectors: Tensor) -> Tensor:
        """(N, D) to the shared part (N, E), of unit norm."""
        return F.normalize(self.shared[modality](vectors), dim=-1)
