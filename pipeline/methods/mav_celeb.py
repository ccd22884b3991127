"""MAV-Celeb's two branches without shared weights (Nawaz et al. 2021, https://arxiv.org/abs/2004.13780).

Each branch is fully connected and ends on the unit sphere. Which loss trained the published figures is not in any
public code; the reading taken here is the loss that gave two-branch networks their name, the ranking in both directions
of Wang et al. 2018 (https://arxiv.org/abs/1704.03470, eq. 5) without its terms within a modality. With D the distance
of unit vectors and the K impostors of an anchor that violate it most,

    L = mean_i,j max(0, m + D(f_i, v_i) - D(f_i, v_j)) + mean_i,j max(0, m + D(f_i, v_i) - D(f_j, v_i)).
"""

import torch
from torch import Tensor

from pipeline.methods.base import Sizes, register
from pipeline.methods.encoders import EncoderOptions, OwnLoss, impostors
from pipeline.settings import Count, Positive


def ranking_loss(face: Tensor, voice: Tensor, labels: Tensor, margin: float, violations: int) -> Tensor:
    """L () of unit faces and voices (B, E) of people `labels` (B,); over at most `violations` impostors an anchor."""
    distances = torch.cdist(face, voice, compute_mode="donot_use_mm_for_euclid_dist")
    stranger, genuine = impostors(labels), distances.diagonal()
    value = face.new_zeros(())
    for rows in (distances, distances.T):
        hinge = (margin + genuine[:, None] - rows).clamp_min(0.0).where(stranger, -1.0)
        worst = hinge.topk(min(violations, len(labels)), dim=1).values
        there = worst >= 0.0
        value = value + worst.where(there, 0.0).sum() / there.sum().clamp_min(1)
    return value


@register("mav_celeb")
class MavCeleb(OwnLoss):
    """Two branches under a ranking loss."""

    class Options(EncoderOptions):
        """`methods.mav_celeb:`."""

        margin: Positive  # m, a distance on the unit sphere
        violations: Count  # K

    def __init__(self, options: Options, sizes: Sizes, modality: str, generator: torch.Generator) -> None:
        super().__init__(options, sizes, modality, generator)
        self.margin, self.violations = options.margin, options.violations

    def own_loss(self, face: Tensor, voice: Tensor, labels: Tensor) -> Tensor:
        """L ()."""
        return ranking_loss(face, voice, labels, self.margin, self.violations)
