"""Deep Latent Space, or SSNet: one network for both modalities (Nawaz et al. 2019, https://arxiv.org/abs/1909.08685).

Faces and voices go through the same weights, and L = CE + lambda / 2 sum ||x - c_y||^2 pulls the samples of a person,
seen or heard, to one centre that moves with them. That is `loss: center` in its printed form with lambda its alpha; the
published network is a plain perceptron, without the normalisation that SBNet, its successor, put in. Inputs are frozen
vectors, the narrower modality padded with zeros. What is compared is the cosine.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.losses.base import LossInput
from pipeline.methods.base import Batch, Method, Sizes, register
from pipeline.methods.encoders import EncoderOptions, encoder
from pipeline.methods.layers import initialise


@register("deep_latent_space")
class DeepLatentSpace(Method):
    """One encoder, trained on samples of either modality."""

    class Options(EncoderOptions):
        """`methods.deep_latent_space:`."""

    def __init__(self, options: Options, sizes: Sizes, modality: str, generator: torch.Generator) -> None:
        super().__init__(options, sizes, modality, generator)
        self.inputs_inside = {"face": sizes.face, "voice": sizes.voice, "both": sizes.padded}[modality]
        self.encoder = encoder(self.inputs_inside, options)
        self.classifier = nn.Linear(options.embedding, sizes.classes)
        initialise(self, generator, 0.0)

    @property
    def width(self) -> int:
        """E."""
        return self.classifier.in_features

    def see(self, batch: Batch) -> LossInput:
        """Samples to embeddings and logits."""
        embedding = self.encoder(batch.samples)
        return LossInput(embedding, self.classifier(embedding), batch.labels, batch.is_voice)

    def embed(self, modality: str, vectors: Tensor) -> Tensor:
        """(N, D) to (N, E) of unit norm, the same encoder for either modality."""
        return F.normalize(self.encoder(F.pad(vectors, (0, self.inputs_inside - vectors.shape[1]))), dim=-1)

    def inputs(self, modality: str) -> int | None:
        """Width of a modality; a run of one modality takes the other only where it is as wide."""
        other = self.modality not in ("both", modality)
        return None if other and self.sizes.face != self.sizes.voice else super().inputs(modality)
