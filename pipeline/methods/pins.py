"""Learnable PINs: contrastive learning under a curriculum of impostors (Nagrani et al. 2018,
https://arxiv.org/abs/1805.00833).

Two branches end on the unit sphere. For a face and a voice at distance D, L = y D^2 + (1 - y) max(0, m - D)^2 with m =
.6, means over genuine and over impostor pairs. The impostors of a face are its batch's voices from the furthest on, as
many as the share tau of the batch says and none that is nearer than the genuine voice; tau rises from .3 to .8 during
training, so that the nearest come last. The order and its two limits are as in my-yy/vfal-eva
`utils/pair_selection_util.py`, whose list then holds ranks in the place of rows, and swaps faces and voices; both are
mended here. There tau rises every 500 steps, here linearly with the epochs, for the length of an epoch is the corpus's.
Distances are squared as the paper prints them. Voices of the same person are never impostors; inputs are frozen
vectors, in the place of two VGG networks.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.methods.base import Sizes, register
from pipeline.methods.encoders import EncoderOptions, OwnLoss, impostors
from pipeline.methods.orders import Plan
from pipeline.settings import Positive, Ratio, RunSettings


def chosen_impostors(distances: Tensor, labels: Tensor, share: float) -> Tensor:
    """Which pairs of face and voice count as impostors, (B, B), for distances (B, B) of faces from voices."""
    rank = (-distances).argsort(dim=1, stable=True).argsort(dim=1)  # 0: the furthest voice
    further = distances > distances.diagonal()[:, None]
    return (rank < int(share * len(labels))) & further & impostors(labels)


def contrastive_loss(distances: Tensor, chosen: Tensor, margin: float) -> Tensor:
    """L () of distances (B, B) whose diagonal is genuine, and of the impostors that are chosen (B, B)."""
    near = (margin - distances).clamp_min(0.0).square().where(chosen, 0.0).sum() / chosen.sum().clamp_min(1)
    return distances.diagonal().square().mean() + near


@register("pins")
class Pins(OwnLoss):
    """Two branches under contrastive loss."""

    class Options(EncoderOptions):
        """`methods.pins:`."""

        margin: Positive  # m, a distance on the unit sphere
        first_share: Ratio  # tau in the first epoch
        last_share: Ratio  # tau in the last epoch

    def __init__(self, options: Options, sizes: Sizes, modality: str, generator: torch.Generator) -> None:
        super().__init__(options, sizes, modality, generator)
        self.margin = options.margin
        self.shares = options.first_share, options.last_share
        self.share = options.first_share

    def plan(self, settings: RunSettings, labels: NDArray[np.int64], epoch: int, seed: int) -> Plan:
        """Shuffled pairs; and the share of this epoch, which a step does not know by itself."""
        first, last = self.shares
        self.share = first + (last - first) * epoch / max(1, settings.epochs - 1)
        return super().plan(settings, labels, epoch, seed)

    def own_loss(self, face: Tensor, voice: Tensor, labels: Tensor) -> Tensor:
        """L ()."""
        distances = torch.cdist(face, voice, compute_mode="donot_use_mm_for_euclid_dist")
        return contrastive_loss(distances, chosen_impostors(distances.detach(), labels, self.share), self.margin)
