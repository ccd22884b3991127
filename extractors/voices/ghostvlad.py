"""GhostVLAD: any number of frames to one descriptor; ghosts swallow noise (Zhong et al. 2018, arXiv 1810.09951)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class GhostVLAD(nn.Module):
    """Soft-assigns each frame to K + G centres and sums its residuals; the G ghost centres are thrown away.

    The sum runs over time, so the residuals of two windows add up to those of both: `residuals` may be called
    window by window, `normalise` once at the end.
    """

    def __init__(self, features: int, clusters: int, ghosts: int) -> None:
        super().__init__()
        self.clusters = clusters
        self.centres = nn.Parameter(torch.empty(clusters + ghosts, features))
        nn.init.orthogonal_(self.centres)

    def residuals(self, features: Tensor, scores: Tensor) -> Tensor:
        """(B, D, T) features and (B, K + G, T) assignment scores -> (B, K, D) residuals summed over time."""
        assignment = scores.softmax(dim=1)[:, : self.clusters]  # (B, K, T)
        weighted = assignment @ features.transpose(1, 2)  # (B, K, D)
        return weighted - assignment.sum(dim=2, keepdim=True) * self.centres[: self.clusters]

    def normalise(self, residuals: Tensor) -> Tensor:
        """(B, K, D) residuals -> (B, K * D), each cluster of unit length (and not the whole, as published)."""
        return F.normalize(residuals, dim=2, eps=1e-6).flatten(1)
