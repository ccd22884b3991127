"""Voice-face discriminative network, VFNet (Tao et al. 2020, https://arxiv.org/abs/2008.03894).

Both encoders are 256-ReLU-128; S is the cosine of what comes out, and [S, 1 - S] are the logits of "same" and
"different", so that p(same) = sigmoid(2 S - 1). L is the cross entropy over genuine and impostor pairs. Which impostors
the authors sample is open: here all of a batch, genuine and impostor pairs with half of the weight each. Inputs are
frozen vectors, in the paper's experiments too (x-vectors and InsightFace).
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.methods.base import register
from pipeline.methods.encoders import EncoderOptions, OwnLoss, impostors


def discriminative_loss(cosines: Tensor, labels: Tensor) -> Tensor:
    """L () of cosines (B, B) of faces and voices whose diagonal is genuine, of people `labels` (B,)."""
    logits = 2.0 * cosines - 1.0
    stranger = impostors(labels)
    different = F.softplus(logits).where(stranger, 0.0).sum() / stranger.sum().clamp_min(1)
    return 0.5 * (F.softplus(-logits.diagonal()).mean() + different)


@register("vfdn")
class VFDN(OwnLoss):
    """Two encoders that tell same from different."""

    class Options(EncoderOptions):
        """`methods.vfdn:`."""

    def own_loss(self, face: Tensor, voice: Tensor, labels: Tensor) -> Tensor:
        """L ()."""
        return discriminative_loss(torch.mm(face, voice.T), labels)
