"""The score of two vectors, which all code uses, and the embeddings and scores that a method gives for many."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.methods import Method

Matrix = NDArray[np.float32]
_ROWS = 4096  # through a method at once


def similarity(left: Matrix, right: Matrix) -> Matrix:
    """Minus the squared L2 distance (...) of left and right (..., E): higher means the same person.

    What the official tests compare (ssnet_fop/test.py); for unit vectors it orders pairs as the cosine does.
    """
    difference = left - right
    return np.asarray(-np.einsum("...e,...e->...", difference, difference), dtype=np.float32)


def similarity_table(queries: Matrix, gallery: Matrix) -> Matrix:
    """The same of every query (Q, E) with every item of a gallery (G, E), (Q, G)."""
    lengths = np.square(queries).sum(axis=1)[:, None] + np.square(gallery).sum(axis=1)
    return np.asarray(2.0 * queries @ gallery.T - lengths, dtype=np.float32)


@torch.no_grad()
def embed(method: Method, modality: str, vectors: Tensor) -> Matrix:
    """Vectors (N, D) of one modality to what a method in evaluation mode compares, (N, E)."""
    chunks = [method.embed(modality, chunk).cpu() for chunk in torch.split(vectors, _ROWS)]
    return np.asarray(torch.cat(chunks).numpy(), dtype=np.float32)


@torch.no_grad()
def pair_scores(method: Method, left: str, probes: Tensor, right: str, others: Tensor) -> Matrix:
    """Scores (N,) of a method in evaluation mode without embeddings: probes (N, D) with others (N, D)."""
    return gallery_scores(method, left, probes, right, others[:, None])[:, 0]


@torch.no_grad()
def gallery_scores(method: Method, left: str, probes: Tensor, right: str, candidates: Tensor) -> Matrix:
    """Scores (P, G) of a method in evaluation mode without embeddings: probes (P, D), candidates (P, G, D)."""
    parts = zip(torch.split(probes, _ROWS), torch.split(candidates, _ROWS), strict=True)
    chunks = [method.score(left, probe, right, candidate).cpu() for probe, candidate in parts]
    return np.asarray(torch.cat(chunks).numpy(), dtype=np.float32)
