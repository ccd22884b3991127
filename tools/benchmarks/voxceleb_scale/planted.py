"""Embeddings with a known truth: what a face and a voice share is planted, so that one knows what training may find.

An identity has a gender (shared, and the easiest thing to find), a shared latent within the gender, and for each
modality a private latent that the other modality does not know. A row is a random linear map of all that, with noise of
its own, scaled to unit norm. Nothing but the gender and the shared latent can help across modalities.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class Strengths:
    """Standard deviation of each part of a row, before the map; a part's power is its width times its square."""

    gender: float = 2.0  # one value, plus or minus
    shared: float = 1.0  # SHARED values
    private: float = 1.0  # PRIVATE values
    noise: float = 1.0  # of each of DIMENSION values after the map, in units of the row's own deviation


SHARED, PRIVATE, DIMENSION = 24, 40, 512


@dataclass(frozen=True)
class Planted:
    """Rows of both modalities, sorted by identity."""

    faces: Matrix  # (F, 512) unit norm
    voices: Matrix  # (V, 512) unit norm
    face_identity: NDArray[np.int64]  # (F,)
    voice_identity: NDArray[np.int64]  # (V,)
    gender: NDArray[np.str_]  # (identities,) f | m


def planted(identities: int, faces: int, voices: int, seed: int, strengths: Strengths | None = None) -> Planted:
    """`faces` face rows and `voices` voice rows for each of `identities` people."""
    strengths = strengths or Strengths()
    rng = np.random.default_rng(seed)
    gender = np.where(np.arange(identities) % 2 == 0, 1.0, -1.0)
    common = np.concatenate(
        [strengths.gender * gender[:, None], strengths.shared * rng.standard_normal((identities, SHARED))], axis=1
    )
    rows: list[tuple[Matrix, NDArray[np.int64]]] = []
    for count in (faces, voices):
        private = strengths.private * rng.standard_normal((identities, PRIVATE))
        mixing = rng.standard_normal((1 + SHARED + PRIVATE, DIMENSION), dtype=np.float32)
        people = np.concatenate([common, private], axis=1).astype(np.float32) @ mixing
        owner = np.repeat(np.arange(identities), count)
        matrix = people[owner]
        matrix += strengths.noise * people.std() * rng.standard_normal(matrix.shape, dtype=np.float32)
        matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
        rows.append((matrix, owner))
    (face, face_owner), (voice, voice_owner) = rows
    return Planted(face, voice, face_owner, voice_owner, np.where(gender > 0, "f", "m"))
