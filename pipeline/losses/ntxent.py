"""NT-Xent, InfoNCE between faces and voices (Sohn 2016; Chen et al. 2020, https://arxiv.org/abs/2002.05709).

In closed form: an anchor's impostors add the same to the denominator of all its genuine pairs. NTXentLoss of
pytorch-metric-learning, to which a test holds it, copies them for every pair: a hundred times the work in a batch of
128 pairs.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from pipeline.losses.base import Loss, LossInput, LossSizes, register
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
        self.alpha, self.alpha_ce, self.temperature = options.alpha, options.alpha_ce, options.temperature

    def forward(self, batch: LossInput) -> Tensor:
        """Loss ()."""
        return self.alpha_ce * cross_entropy(batch.logits, batch.labels) + self.alpha * self._matched(batch)

    def _matched(self, batch: LossInput) -> Tensor:
        """Mean () of faces against voices and voices against faces; 0 without genuine pairs or without impostors.

        In a batch of one modality, samples are compared among themselves (see across_modalities).
        """
        faces, shown, voices, heard = batch.sides()
        alone = not len(faces) or not len(voices)
        if alone:
            faces, shown, voices, heard = batch.embedding, batch.labels, batch.embedding, batch.labels
        logits = F.normalize(faces, dim=-1) @ F.normalize(voices, dim=-1).T / self.temperature  # (F, V)
        same = shown[:, None] == heard
        # Not -inf: an anchor without an impostor would have a gradient that is not a number.
        impostors = logits.masked_fill(same, torch.finfo(logits.dtype).min)
        face, voice = (same.clone().fill_diagonal_(False) if alone else same).nonzero(as_tuple=True)
        if not len(face):
            return logits.sum() * 0.0
        genuine = logits[face, voice]
        to_voices = F.softplus(impostors.logsumexp(dim=1)[face] - genuine).mean()
        return 0.5 * (to_voices + F.softplus(impostors.logsumexp(dim=0)[voice] - genuine).mean())
