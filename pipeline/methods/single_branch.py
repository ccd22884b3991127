"""SBNet: one branch for faces and voices alike."""

from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.methods.layers import Dense, Layers, PlainLayers


class SingleOutput(NamedTuple):
    """What the single branch says of a batch of either modality."""

    embedding: Tensor  # (..., B, E) unit norm
    logits: Tensor  # (..., B, C)


class SingleBranch(nn.Module):
    """Two layers that do not know which modality they see, then L2; logits are linear in the embedding.

    `batch_norm` "last" is the paper's (section 2.2), "both" the official code's (ssnet_fop/retrieval_model.py). The
    unit norm has one exception, there as here: if no unit of the last layer is above zero, the embedding is zero.
    """

    def __init__(
        self,
        inputs: int,
        embedding: int,
        classes: int,
        *,
        batch_norm: str,
        dropout: float,
        momentum: float,
        layers: Layers | None = None,
    ) -> None:
        super().__init__()
        layers = layers or PlainLayers()
        both = batch_norm == "both"
        self.first = Dense(layers, inputs, embedding, norm=both, momentum=momentum, dropout=dropout)
        self.second = Dense(layers, embedding, embedding, norm=True, momentum=momentum, dropout=dropout)
        self.classifier = layers.linear(embedding, classes)

    def forward(self, x: Tensor) -> SingleOutput:
        """Faces or voices (..., B, inputs) to embedding (..., B, E) and logits (..., B, C)."""
        embedding = self.embed_faces(x)
        return SingleOutput(embedding, self.classifier(embedding))

    def embed_faces(self, x: Tensor) -> Tensor:
        """(..., B, inputs) to what is compared, (..., B, E)."""
        return F.normalize(self.second(self.first(x)), dim=-1)

    def embed_voices(self, x: Tensor) -> Tensor:
        """(..., B, inputs) to what is compared, (..., B, E): the same branch."""
        return self.embed_faces(x)
