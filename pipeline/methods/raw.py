"""The vectors as their extractor made them, by cosine: the floor of every table of one modality; nothing is trained.

A network trained on one modality must beat it. It may lose: on people whom its training set does not resemble, a head
throws away what the extractor knew.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.methods.base import Batch, Method, Sizes, register
from pipeline.settings import Section


@register("raw")
class Raw(Method):
    """Unit vectors of one modality, compared as they are."""

    class Options(Section):
        """It has none."""

    within = True
    epochless = True

    def __init__(self, options: Options, sizes: Sizes, modality: str, generator: torch.Generator) -> None:
        super().__init__(options, sizes, modality, generator)

    def fit(self, batch: Batch) -> None:
        """Learn nothing."""

    def embed(self, modality: str, vectors: Tensor) -> Tensor:
        """(N, D) to the same with unit norm."""
        return F.normalize(vectors, dim=-1)

    def inputs(self, modality: str) -> int | None:
        """Width of its own modality; it takes no other."""
        return super().inputs(modality) if modality == self.modality else None
