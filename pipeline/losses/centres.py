"""Class centres: one vector a class, moved towards its samples (Wen et al. 2016) or left where they began."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def initial_centres(seeds: Sequence[int], classes: int, width: int) -> Tensor:
    """Xavier-uniform centres (S, C, D), the ones of a seed drawn from it alone.

    The official models' centres are these still: their code builds the update but never runs it.
    """
    stacked = torch.empty(len(seeds), classes, width)
    for centres, seed in zip(stacked, seeds, strict=True):
        nn.init.xavier_uniform_(centres, generator=torch.Generator().manual_seed(seed))
    return stacked


def of_labels(centres: Tensor, labels: Tensor) -> Tensor:
    """The centre of each sample's class: centres (..., C, D) and labels (..., B) to (..., B, D)."""
    return centres.gather(-2, labels[..., None].expand(*labels.shape, centres.shape[-1]))


def moved_centres(centres: Tensor, vectors: Tensor, labels: Tensor, rate: float) -> Tensor:
    """Centres (..., C, D) after a batch of vectors (..., B, D) with labels (..., B); the paper's eqs. 5 and 6.

    c <- c - rate * sum(c - x) / (1 + n) over the n samples x of the class; a class without samples stays.
    """
    pulls = of_labels(centres, labels) - vectors
    where = labels[..., None].expand_as(pulls)
    sums = torch.zeros_like(centres).scatter_add_(-2, where, pulls)
    counts = torch.zeros_like(centres[..., 0]).scatter_add_(-1, labels, torch.ones_like(pulls[..., 0]))
    return centres - rate * sums / (1.0 + counts)[..., None]
