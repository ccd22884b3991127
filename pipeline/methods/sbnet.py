"""SBNet: one branch for faces and voices alike."""

from typing import Annotated, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.losses.base import LossInput
from pipeline.methods.base import Batch, Method, Sizes, register
from pipeline.methods.layers import Dense, initialise
from pipeline.settings import Count, Section


class SingleOutput(NamedTuple):
    """What the single branch says of a batch of either modality."""

    embedding: Tensor  # (B, E) unit norm
    logits: Tensor  # (B, C)


class SingleBranch(nn.Module):
    """Two layers that do not know which modality they see, then L2; logits are linear in the embedding.

    `batch_norm` "last" is the paper's (section 2.2), "both" the official code's (ssnet_fop/retrieval_model.py). The
    unit norm has one exception, there as here: if no unit of the last layer is above zero, the embedding is zero.
    """

    def __init__(
        self, inputs: int, embedding: int, classes: int, *, batch_norm: str, dropout: float, momentum: float
    ) -> None:
        super().__init__()
        both = batch_norm == "both"
        self.first = Dense(inputs, embedding, norm=both, momentum=momentum, dropout=dropout)
        self.second = Dense(embedding, embedding, norm=True, momentum=momentum, dropout=dropout)
        self.classifier = nn.Linear(embedding, classes)

    def forward(self, x: Tensor) -> SingleOutput:
        """Faces or voices (B, inputs) to embedding (B, E) and logits (B, C)."""
        embedding = self.embed(x)
        return SingleOutput(embedding, self.classifier(embedding))

    def embed(self, x: Tensor) -> Tensor:
        """Faces or voices (B, inputs) to what is compared, (B, E)."""
        return F.normalize(self.second(self.first(x)), dim=-1)


@register("sbnet")
class SBNet(Method):
    """The single branch, trained on samples. Unequal widths meet in it: the narrower modality is padded with zeros."""

    class Options(Section):
        """`methods.sbnet:`."""

        batch_norm: Literal["last", "both"]  # paper: after the last layer; official code: after both
        batch_norm_momentum: Annotated[float, Field(gt=0.0, le=1.0)]  # weight of the newest batch in running statistics
        initial_bias: float  # of every linear layer
        embedding: Count  # width of both layers
        dropout: Annotated[float, Field(ge=0.0, lt=1.0)]

    def __init__(self, options: Options, sizes: Sizes, modality: str, generator: torch.Generator) -> None:
        super().__init__(options, sizes, modality, generator)
        widths = {"face": sizes.face, "voice": sizes.voice, "both": sizes.padded}
        self.network = SingleBranch(
            widths[modality],
            options.embedding,
            sizes.classes,
            batch_norm=options.batch_norm,
            dropout=options.dropout,
            momentum=options.batch_norm_momentum,
        )
        initialise(self.network, generator, options.initial_bias)

    @property
    def width(self) -> int:
        """E."""
        return self.network.classifier.in_features

    def see(self, batch: Batch) -> LossInput:
        """Samples to embeddings and logits."""
        embedding, logits = self.network(batch.samples)
        return LossInput(embedding, logits, batch.labels, batch.is_voice)

    def embed(self, modality: str, vectors: Tensor) -> Tensor:
        """(N, D) to (N, E), the same branch for either modality."""
        return self.network.embed(F.pad(vectors, (0, self.network.first.linear.in_features - vectors.shape[1])))

    def inputs(self, modality: str) -> int | None:
        """Width of a modality; the branch of a run of one modality takes the other only where it is as wide."""
        width = super().inputs(modality)
        other = self.modality not in ("both", modality)
        return None if other and self.sizes.face != self.sizes.voice else width
