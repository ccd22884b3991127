"""What the student is asked: the teacher's vectors, the teacher's similarities, and the right voice."""

import torch
from torch import Tensor
from torch.nn import functional as F

from voice_encoder.recipe import Loss


def codes(vectors: Tensor, embeddings: Tensor, voice: Tensor, ridge: float, lift: float) -> Tensor:
    """The teacher's (V, 192) vectors as (V, 512) codes that the student can equal: never negative, unit norm.

    The map is the least-squares one from the teacher's vectors to where the student puts those voices at the start,
    (N, 512) embeddings of voices (N,), whose halves are 256 axes and their negatives, lifted by `lift` deviations: the
    student keeps its axes and takes over the teacher's geometry.
    """
    positive, negative = embeddings.chunk(2, dim=1)
    targets = vectors[voice]
    weights = torch.bincount(voice, minlength=len(vectors)).clamp(min=1).reciprocal()[voice, None]
    gram = targets.T @ (weights * targets)
    gram += ridge * gram.trace() / len(gram) * torch.eye(len(gram))
    axes = vectors @ torch.linalg.solve(gram, targets.T @ (weights * (positive - negative)))  # (V, 256)
    axes = axes / axes.std()
    return F.normalize(torch.cat([(axes + lift).relu(), (lift - axes).relu()], dim=1), dim=1)


def vector_loss(embedding: Tensor, target: Tensor) -> Tensor:
    """1 - mean cosine of (B, 512) embeddings and their codes, both of unit norm."""
    return 1 - (embedding * target).sum(dim=1).mean()


def similarity_loss(embedding: Tensor, target: Tensor) -> Tensor:
    """Squared error between the (B, B) similarity matrices of embeddings and codes, diagonal left out."""
    error = (embedding @ embedding.T - target @ target.T) ** 2
    return error[~torch.eye(len(error), dtype=torch.bool, device=error.device)].mean()


def voice_loss(embedding: Tensor, every_code: Tensor, voice: Tensor, scale: float, margin: float) -> Tensor:
    """Additive-margin cross-entropy (Wang et al. 2018, arXiv 1801.05599) over all voices' (V, 512) codes."""
    cosine = embedding @ every_code.T  # (B, V)
    cosine = cosine - margin * F.one_hot(voice, cosine.shape[1])
    return F.cross_entropy(scale * cosine, voice)


def total_loss(embedding: Tensor, voice: Tensor, every_code: Tensor, settings: Loss) -> dict[str, Tensor]:
    """The parts by name, and their weighted sum as `total`."""
    target = every_code[voice]
    vector = vector_loss(embedding, target)
    similarity = similarity_loss(embedding, target)
    classes = voice_loss(embedding, every_code, voice, settings.scale, settings.margin)
    total = settings.vector * vector + settings.similarity * similarity + settings.classes * classes
    return {"vector": vector, "similarity": similarity, "classes": classes, "total": total}
