"""The rival: a branch for each modality, fused (Saeed et al. 2022, https://arxiv.org/abs/2112.10483)."""

from typing import Annotated, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.losses.base import LossInput
from pipeline.methods.base import Batch, Method, Sizes, register
from pipeline.methods.layers import Dense, Scale, initialise
from pipeline.settings import Count, Section


class TwoOutput(NamedTuple):
    """What the two branches say of a batch of pairs."""

    embedding: Tensor  # (B, E) fused; the losses act on it
    logits: Tensor  # (B, C)
    face: Tensor  # (B, E) what is compared
    voice: Tensor  # (B, E) what is compared


class GatedFusion(nn.Module):
    """Attention per value: tanh(face) * a + (1 - a) * tanh(voice), a from both (twobranch_fop/retrieval_model.py)."""

    def __init__(self, width: int, momentum: float) -> None:
        super().__init__()
        self.hidden = Dense(2 * width, width, norm=True, momentum=momentum, dropout=0.0)
        self.gate = nn.Linear(width, width)

    def forward(self, face: Tensor, voice: Tensor) -> Tensor:
        """Unit vectors (B, E) twice to fused (B, E)."""
        attention = torch.sigmoid(self.gate(self.hidden(torch.cat((face, voice), dim=-1))))
        return self.compared(face) * attention + (1.0 - attention) * self.compared(voice)

    def compared(self, x: Tensor) -> Tensor:
        """What the official test compares of one modality: its tanh."""
        return torch.tanh(x)


class LinearFusion(nn.Module):
    """A weighted sum with two learnt numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.face = Scale()
        self.voice = Scale()

    def forward(self, face: Tensor, voice: Tensor) -> Tensor:
        """Unit vectors (B, E) twice to fused (B, E)."""
        fused: Tensor = self.face(face) + self.voice(voice)
        return fused

    def compared(self, x: Tensor) -> Tensor:
        """What the official test compares of one modality: its unit vector."""
        return x


class TwoBranch(nn.Module):
    """One layer and L2 for each modality, then a fusion that the losses see; the branches meet nowhere else."""

    def __init__(
        self,
        face_inputs: int,
        voice_inputs: int,
        embedding: int,
        classes: int,
        *,
        fusion: str,
        dropout: float,
        momentum: float,
    ) -> None:
        super().__init__()
        self.voice = Dense(voice_inputs, embedding, norm=True, momentum=momentum, dropout=dropout)
        self.face = Dense(face_inputs, embedding, norm=True, momentum=momentum, dropout=dropout)
        gated = fusion == "gated"
        self.fusion = GatedFusion(embedding, momentum) if gated else LinearFusion()
        self.classifier = nn.Linear(embedding, classes)

    def forward(self, faces: Tensor, voices: Tensor) -> TwoOutput:
        """Faces (B, face_inputs) and voices (B, voice_inputs) of the same people to their fusion."""
        face, voice = F.normalize(self.face(faces), dim=-1), F.normalize(self.voice(voices), dim=-1)
        fused = self.fusion(face, voice)
        return TwoOutput(fused, self.classifier(fused), self.fusion.compared(face), self.fusion.compared(voice))

    def embed(self, modality: str, x: Tensor) -> Tensor:
        """Faces (B, face_inputs) or voices (B, voice_inputs) to what is compared, (B, E)."""
        branch = self.face if modality == "face" else self.voice
        return self.fusion.compared(F.normalize(branch(x), dim=-1))


@register("two_branch")
class TwoBranches(Method):
    """The two branches, trained on pairs."""

    class Options(Section):
        """`methods.two_branch:`."""

        fusion: Literal["gated", "linear"]
        batch_norm_momentum: Annotated[float, Field(gt=0.0, le=1.0)]  # weight of the newest batch in running statistics
        initial_bias: float  # of every linear layer
        embedding: Count  # width of a branch and of the fusion
        dropout: Annotated[float, Field(ge=0.0, lt=1.0)]

    takes = "pairs"

    def __init__(self, options: Options, sizes: Sizes, modality: str, generator: torch.Generator) -> None:
        super().__init__(options, sizes, modality, generator)
        self.network = TwoBranch(
            sizes.face,
            sizes.voice,
            options.embedding,
            sizes.classes,
            fusion=options.fusion,
            dropout=options.dropout,
            momentum=options.batch_norm_momentum,
        )
        initialise(self.network, generator, options.initial_bias)

    @property
    def width(self) -> int:
        """E."""
        return self.network.classifier.in_features

    def see(self, batch: Batch) -> LossInput:
        """Pairs to their fusion and its logits, and what is compared of either side."""
        output = self.network(batch.faces, batch.voices)
        return LossInput(output.embedding, output.logits, batch.labels, face=output.face, voice=output.voice)

    def embed(self, modality: str, vectors: Tensor) -> Tensor:
        """(N, D) to (N, E)."""
        return self.network.embed(modality, vectors)
