"""Scores of pairs, from the embeddings of a run's models: the same inputs give the same bytes."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.protocol.tables import RowIndex
from pipeline.store import Store

Matrix = NDArray[np.float32]
_PAIRS = 8192  # scored at once: 3 models of 128 values take 13 MB a side


class Encoder(Protocol):
    """A trained run: S models that embed both modalities into one space."""

    def embed_faces(self, matrix: Matrix) -> Matrix:
        """Embeddings (S, N, D) of face vectors (N, 512)."""
        ...

    def embed_voices(self, matrix: Matrix) -> Matrix:
        """Embeddings (S, N, D) of voice vectors (N, 512)."""
        ...


class Scorer:
    """Embeds the rows that the lists name, once, and scores pairs of them.

    A score is minus the squared L2 distance, what the official tests compare; for unit vectors it orders pairs as the
    cosine does. Higher means the same person.
    """

    def __init__(
        self, encoder: Encoder, faces: Store, voices: Store, face_rows: RowIndex, voice_rows: RowIndex
    ) -> None:
        """Embed the distinct `face_rows` and `voice_rows` of the stores."""
        self._rows = {"face": np.unique(face_rows), "voice": np.unique(voice_rows)}
        self._embeddings: dict[str, Matrix] = {}
        for modality, store, embed in (("face", faces, encoder.embed_faces), ("voice", voices, encoder.embed_voices)):
            if len(self._rows[modality]):
                self._embeddings[modality] = embed(store.matrix[self._rows[modality]])

    def vectors(self, modality: str, rows: RowIndex) -> Matrix:
        """Embeddings (S, N, D) of rows (N,), or (S, P, G, D) of rows (P, G), that were named at the start."""
        return self._embeddings[modality][:, np.searchsorted(self._rows[modality], rows)]

    def pairs(self, sides: tuple[str, str], left: RowIndex, right: RowIndex) -> Matrix:
        """Scores (S, N) of left (N,) against right (N,)."""
        blocks = [slice(start, start + _PAIRS) for start in range(0, len(left), _PAIRS)]
        return np.concatenate(
            [_closeness(self.vectors(sides[0], left[block]), self.vectors(sides[1], right[block])) for block in blocks],
            axis=1,
        )

    def galleries(self, sides: tuple[str, str], probes: RowIndex, candidates: RowIndex) -> Matrix:
        """Scores (S, P, G) of each of probes (P,) against its own candidates (P, G)."""
        width = candidates.shape[1]
        flat = self.pairs(sides, np.repeat(probes, width), candidates.reshape(-1))
        return flat.reshape(len(flat), len(probes), width)

    def table(self, sides: tuple[str, str], queries: RowIndex, gallery: RowIndex, model: int) -> Matrix:
        """Scores (Q, G) of every query (Q,) against every item of the gallery (G,), by one of the S models."""
        left, right = self.vectors(sides[0], queries)[model], self.vectors(sides[1], gallery)[model]
        lengths = np.square(left).sum(axis=1)[:, None] + np.square(right).sum(axis=1)
        return np.asarray(2.0 * left @ right.T - lengths, dtype=np.float32)


def _closeness(left: Matrix, right: Matrix) -> Matrix:
    """Minus the squared distance (S, N) of left and right (S, N, D)."""
    difference = left - right
    return np.asarray(-np.einsum("snd,snd->sn", difference, difference), dtype=np.float32)
