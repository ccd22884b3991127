"""What the student is asked: the teacher's vectors, the teacher's similarities, and the right voice."""

import torch
from torch import Tensor
from torch.nn import functional as F

from extractors.voices.aggregator_network import DIMENSION
from tools.voice_encoder.recipe import Loss

CODE_AXES = DIMENSION // 2


def codes(vectors: Tensor, lift: float, seed: int) -> Tensor:
    """The teacher's (V, 192) vectors as (V, 512) codes that the student can equal: never negative, unit norm.

    256 axes of a random rotation, each once as it is and once negated, both lifted by `lift` deviations before what is
    below zero is cut off: so codes keep the order of the teacher's similarities.
    """
    generator = torch.Generator().manual_seed(seed)
    rotation = torch.linalg.qr(torch.randn(CODE_AXES, CODE_AXES, generator=generator))[0][: vectors.shape[1]]
    axes = vectors @ rotation
    axes = axes / axes.std()
    return F.normalize(torch.cat([(axes + lift).relu(), (lift - axes).relu()], dim=1), dim=1)


def vector_loss(embedding: Tensor, target: Tensor) -> Tensor:
    """1 - mean cosine of (B, 512) embeddings and their codes, both of unit norm."""
    return 1 - (embedding * target).sum(dim=1).mean()


def similarity_loss(embedding: Tensor, target: Tensor) -> Tensor:
    """Squared error between the (B, B) similarity matrices of embeddings and codes, diagonal left out."""
    error = (embedding @ embedding.T - target @ target.T) ** 2
    return error[~torch.eye(len(error), dtype=torch.bool, device=error.device)].mean()


def voice_loss(
    embedding: Tensor, every_code: Tensor, voice: Tensor, scale: float, margin: float, same: Tensor | None = None
) -> Tensor:
    """Additive-margin cross-entropy (Wang et al. 2018, arXiv 1801.05599) over all voices' (V, 512) codes.

    `same` (B, V) marks voices that are no rivals of a row's own: it need not be told apart from them.
    """
    cosine = embedding @ every_code.T  # (B, V)
    own = F.one_hot(voice, cosine.shape[1])
    logits = scale * (cosine - margin * own)
    if same is not None:
        logits = logits.masked_fill(same & (own == 0), -torch.inf)
    return F.cross_entropy(logits, voice)


def sounds_alike(vectors: Tensor, voice: Tensor, limit: float) -> Tensor:
    """(B, V): which of all voices the teacher's unit vectors (V, 192) put nearer to a row's own than `limit`, a cosine.

    One person may have several voices: unlabelled recordings, and copies at other speeds. To drive these apart would
    teach what the teacher does not hear.
    """
    return vectors[voice] @ vectors.T > limit


def hint_loss(predicted: Tensor, hints: Tensor) -> Tensor:
    """Mean squared error of predicted hints (B, T, D)."""
    return (predicted - hints).square().mean()


def total_loss(
    embedding: Tensor,
    voice: Tensor,
    every_code: Tensor,
    same: Tensor,
    predicted: Tensor,
    hints: Tensor,
    settings: Loss,
) -> dict[str, Tensor]:
    """The parts by name, and their weighted sum as `total`; `same` is of voice_loss."""
    target = every_code[voice]
    parts = {
        "vector": vector_loss(embedding, target),
        "similarity": similarity_loss(embedding, target),
        "classes": voice_loss(embedding, every_code, voice, settings.scale, settings.margin, same),
        "hints": hint_loss(predicted, hints),
    }
    weights = {name: getattr(settings, name) for name in parts}
    return parts | {"total": torch.stack([weights[name] * part for name, part in parts.items()]).sum()}
