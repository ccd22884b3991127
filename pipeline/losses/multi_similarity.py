"""Multi-similarity loss between faces and voices (Wang et al. 2019, https://arxiv.org/abs/1904.06627)."""

from typing import Annotated

import torch
from pydantic import Field
from pytorch_metric_learning.losses import MultiSimilarityLoss
from torch import Tensor

from pipeline.losses.base import Loss, LossInput, LossSizes, across_modalities, register
from pipeline.losses.ce import cross_entropy
from pipeline.settings import Positive, Section


@register("multi_similarity")
class MultiSimilarity(Loss):
    """alpha_ce * CE + alpha * multi-similarity over the cosines of an anchor with the batch's other modality.

    log(1 + sum exp(-a (s+ - base))) / a + log(1 + sum exp(b (s- - base))) / b, a mean over anchors (its eq. 12, without
    the mining of pairs).
    """

    class Options(Section):
        """`losses.multi_similarity:`."""

        alpha: Annotated[float, Field(ge=0.0)]
        alpha_ce: Annotated[float, Field(ge=0.0)]  # weight of cross entropy; 0: none
        genuine_scale: Positive  # the paper's alpha
        impostor_scale: Positive  # the paper's beta
        base: Annotated[float, Field(ge=-1.0, le=1.0)]  # the paper's lambda, a cosine

    def __init__(self, options: Options, sizes: LossSizes, generator: torch.Generator) -> None:
        super().__init__(options, sizes, generator)
        self.alpha, self.alpha_ce = options.alpha, options.alpha_ce
        self.similarity = MultiSimilarityLoss(options.genuine_scale, options.impostor_scale, options.base)

    def forward(self, batch: LossInput) -> Tensor:
        """Loss ()."""
        matched = self.alpha * across_modalities(self.similarity, batch)
        return self.alpha_ce * cross_entropy(batch.logits, batch.labels) + matched
