"""DIMNet: covariates shared by both modalities join them (Wen et al. 2018, https://arxiv.org/abs/1807.04836).

No pair is compared in training. Each covariate c (identity, gender, nationality) has one linear classifier for faces
and voices, and L = sum_c w_c (CE_c(faces) + CE_c(voices)), here the mean over all samples in the place of the sum over
both modalities. The paper gives no single set of weights; 1 for identity and less for the others is the reading taken
here. Identity's part is the run's loss, `loss: ce` as published. A covariate whose value is unknown, or the same for
everybody, trains nothing: without metadata this is multi_view, and training says so. The gender loss of my-yy/vfal-eva
`works/11_SS_DIM_VFMR_Barlow.py` goes through the classifier of identities; here each has its own. Inputs are frozen
vectors, and the cosine is compared.
"""

import logging
from collections.abc import Mapping
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.losses.base import Loss, LossInput
from pipeline.methods.adam import Adam
from pipeline.methods.base import Batch, Sizes, register, step
from pipeline.methods.encoders import EncoderOptions, TwoEncoders
from pipeline.methods.layers import initialise
from pipeline.settings import RunSettings

_logger = logging.getLogger(__name__)


def covariate_loss(logits: Tensor, values: Tensor) -> Tensor:
    """Cross entropy () of logits (B, K) over the samples whose value (B,) is known; 0 where none is."""
    known = (values >= 0).sum().clamp_min(1)
    return F.cross_entropy(logits, values, ignore_index=-1, reduction="sum") / known


@register("dimnet")
class DIMNet(TwoEncoders):
    """Two encoders, and a classifier for each covariate."""

    class Options(EncoderOptions):
        """`methods.dimnet:`."""

        gender: Annotated[float, Field(ge=0.0)]  # weight beside identity's, which is 1
        nationality: Annotated[float, Field(ge=0.0)]

    def __init__(self, options: Options, sizes: Sizes, modality: str, generator: torch.Generator) -> None:
        super().__init__(options, sizes, modality, generator)
        weights = {"gender": options.gender, "nationality": options.nationality}
        self.weights = {name: weight for name, weight in weights.items() if sizes.traits.get(name, 0) > 1 and weight}
        self.covariates = nn.ModuleDict(
            {name: nn.Linear(options.embedding, sizes.traits[name]) for name in self.weights}
        )
        initialise(self.covariates, generator, 0.0)

    @property
    def remark(self) -> str:
        """Which covariates there were."""
        return "trained on identity" + ("".join(f", {name}" for name in self.weights) or " alone")

    def optimisers(self, loss: Loss, settings: RunSettings) -> dict[str, Adam]:
        """One Adam; says which covariates there are."""
        _logger.info("dimnet: %s", self.remark)
        return super().optimisers(loss, settings)

    def training_step(self, batch: Batch, loss: Loss, optimisers: Mapping[str, Adam]) -> Tensor:
        """One step of all covariates."""
        seen = self.see(batch)
        return step(loss(seen) + self.covariate_losses(seen, batch.traits), optimisers)

    def covariate_losses(self, seen: LossInput, traits: Mapping[str, Tensor]) -> Tensor:
        """The weighted sum () over covariates but identity, of 2B samples and the values (B,) of their pairs."""
        total = seen.embedding.new_zeros(())
        for name, weight in self.weights.items():
            logits = self.covariates[name](seen.embedding)
            total = total + weight * covariate_loss(logits, traits[name].repeat(2))
        return total
