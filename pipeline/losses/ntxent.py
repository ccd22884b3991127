"""NT-Xent, InfoNCE between faces and voices (Sohn 2016; Chen et al. 2020, https://arxiv.org/abs/2002.05709)."""

from typing import Annotated

import torch
from pydantic import Field
from pytorch_metric_learning.losses import NTXentLoss
from torch import Tensor

from pipeline.losses.base import Loss, LossInput, LossSizes, across_modalities, register
from pipeline.losses.ce import cross_entropy
from pipeline.settings import Positive, Section


@register("ntxent")
class NTXent(Loss):
    """alpha_ce * CE + alpha * NT-Xent, each genuine pair of a face and a voice against the anchor's impostors.

    -log(exp(s+ / t) / (exp(s+ / t) + sum exp(s- / t))) over the cosines s of an anchor in one modality with the batch's
    samples of the other, a mean over genuine pairs.
    """

    class Options(Section):
        """`losses.ntxent:`."""

        alpha: Annotated[float, Field(ge=0.0)]
        alpha_ce: Annotated[float, Field(ge=0.0)]  # weight of cross entropy; 0: none
        temperature: Positive

    def __init__(self, options: Options, sizes: LossSizes, generator: torch.Generator) -> None:
        super().__init__(options, sizes, generator)
        self.alpha, self.alpha_ce = options.alpha, options.alpha_ce
        self.ntxent = NTXentLoss(temperature=options.temperature)

    def forward(self, batch: LossInput) -> Tensor:
        """Loss ()."""
        matched = self.alpha * across_modalities(self.ntxent, batch)
        return self.alpha_ce * cross_entropy(batch.logits, batch.labels) + matched
