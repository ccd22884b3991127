"""The rival: a branch for each modality, fused (Saeed et al. 2022, https://arxiv.org/abs/2112.10483)."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.methods.layers import Dense, Layers, PlainLayers


class TwoOutput(NamedTuple):
    """What the two branches say of a batch of pairs."""

    embedding: Tensor  # (..., B, E) fused; the losses act on it
    logits: Tensor  # (..., B, C)
    face: Tensor  # (..., B, E) what is compared
    voice: Tensor  # (..., B, E) what is compared


class GatedFusion(nn.Module):
    """Attention per value: tanh(face) * a + (1 - a) * tanh(voice), a from both (twobranch_fop/retrieval_model.py)."""

    def __init__(self, width: int, momentum: float, layers: Layers) -> None:
        super().__init__()
        self.hidden = Dense(layers, 2 * width, width, norm=True, momentum=momentum, dropout=0.0)
        self.gate = layers.linear(width, width)

    def forward(self, face: Tensor, voice: Tensor) -> Tensor:
        """Unit vectors (..., B, E) twice to fused (..., B, E)."""
        attention = torch.sigmoid(self.gate(self.hidden(torch.cat((face, voice), dim=-1))))
        return self.compared(face) * attention + (1.0 - attention) * self.compared(voice)

    def compared(self, x: Tensor) -> Tensor:
        """What the official test compares of one modality: its tanh."""
        return torch.tanh(x)


class LinearFusion(nn.Module):
    """A weighted sum with two learnt numbers."""

    def __init__(self, layers: Layers) -> None:
        super().__init__()
        self.face = layers.scale()
        self.voice = layers.scale()

    def forward(self, face: Tensor, voice: Tensor) -> Tensor:
        """Unit vectors (..., B, E) twice to fused (..., B, E)."""
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
        layers: Layers | None = None,
    ) -> None:
        super().__init__()
        layers = layers or PlainLayers()
        self.voice = Dense(layers, voice_inputs, embedding, norm=True, momentum=momentum, dropout=dropout)
        self.face = Dense(layers, face_inputs, embedding, norm=True, momentum=momentum, dropout=dropout)
        gated = fusion == "gated"
        self.fusion = GatedFusion(embedding, momentum, layers) if gated else LinearFusion(layers)
        self.classifier = layers.linear(embedding, classes)

    def forward(self, faces: Tensor, voices: Tensor) -> TwoOutput:
        """Faces (..., B, face_inputs) and voices (..., B, voice_inputs) of the same people to their fusion."""
        face, voice = F.normalize(self.face(faces), dim=-1), F.normalize(self.voice(voices), dim=-1)
        fused = self.fusion(face, voice)
        return TwoOutput(fused, self.classifier(fused), self.fusion.compared(face), self.fusion.compared(voice))

    def embed_faces(self, x: Tensor) -> Tensor:
        """(..., B, face_inputs) to what is compared, (..., B, E)."""
        return self.fusion.compared(F.normalize(self.face(x), dim=-1))

    def embed_voices(self, x: Tensor) -> Tensor:
        """(..., B, voice_inputs) to what is compared, (..., B, E)."""
        return self.fusion.compared(F.normalize(self.voice(x), dim=-1))
