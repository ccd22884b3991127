"""Scores of pairs, from a run's models: the same inputs give the same bytes."""

from typing import Protocol

import numpy as np

from pipeline.protocol.tables import RowIndex
from pipeline.scoring.similarity import Matrix, similarity, similarity_table
from pipeline.store import Store

_PAIRS = 8192  # scored at once: 3 models of 128 values take 13 MB a side


class Trained(Protocol):
    """A trained run: S models that embed both modalities into one space, or score probes with candidates directly."""

    @property
    def compares(self) -> str:
        """embeddings | pairs | galleries."""
        ...

    def takes(self, modality: str) -> bool:
        """Whether it knows what to do with vectors of modality face | voice."""
        ...

    def embed(self, modality: str, vectors: Matrix) -> Matrix:
        """Embeddings (S, N, E) of vectors (N, D) of modality face | voice."""
        ...

    def score(self, left: str, probes: Matrix, right: str, candidates: Matrix) -> Matrix:
        """Scores (S, P, G) of probes (P, D) against their candidates (P, G, D)."""
        ...


class TrialScorer:
    """Scores of rows of the stores; of models that embed, each row that the lists name is embedded once."""

    def __init__(self, model: Trained, faces: Store, voices: Store, face_rows: RowIndex, voice_rows: RowIndex) -> None:
        """Take the stores, and embed the distinct `face_rows` and `voice_rows` of them."""
        self.model = model
        self._stores = {"face": faces, "voice": voices}
        self._rows = {"face": np.unique(face_rows), "voice": np.unique(voice_rows)}
        self._embeddings: dict[str, Matrix] = {}
        if model.compares == "embeddings":
            self._embeddings = {
                modality: model.embed(modality, self._stores[modality].matrix[rows])
                for modality, rows in self._rows.items()
                if len(rows)
            }

    def pairs(self, sides: tuple[str, str], left: RowIndex, right: RowIndex) -> Matrix:
        """Scores (S, N) of left (N,) against right (N,)."""
        if not self._embeddings:
            return self.galleries(sides, left, right[:, None])[:, :, 0]
        blocks = [slice(start, start + _PAIRS) for start in range(0, len(left), _PAIRS)]
        return np.concatenate(
            [
                similarity(self._vectors(sides[0], left[block]), self._vectors(sides[1], right[block]))
                for block in blocks
            ],
            axis=1,
        )

    def galleries(self, sides: tuple[str, str], probes: RowIndex, candidates: RowIndex) -> Matrix:
        """Scores (S, P, G) of each of probes (P,) against its own candidates (P, G)."""
        width = candidates.shape[1]
        if self._embeddings:
            flat = self.pairs(sides, np.repeat(probes, width), candidates.reshape(-1))
            return flat.reshape(len(flat), len(probes), width)
        left, right = (self._stores[side].matrix for side in sides)
        step = max(1, _PAIRS // width)
        return np.concatenate(
            [
                self.model.score(sides[0], left[probes[at : at + step]], sides[1], right[candidates[at : at + step]])
                for at in range(0, len(probes), step)
            ],
            axis=1,
        )

    def table(self, sides: tuple[str, str], queries: RowIndex, gallery: RowIndex, model: int) -> Matrix:
        """Scores (Q, G) of every query (Q,) against every item of the gallery (G,), by one of the S models."""
        if not self._embeddings:
            return np.concatenate(
                [self.galleries(sides, queries[at : at + 1], gallery[None])[model] for at in range(len(queries))]
            )
        left, right = self._vectors(sides[0], queries)[model], self._vectors(sides[1], gallery)[model]
        return similarity_table(left, right)

    def _vectors(self, modality: str, rows: RowIndex) -> Matrix:
        """Embeddings (S, N, E) of rows (N,) that were named at the start."""
        return self._embeddings[modality][:, np.searchsorted(self._rows[modality], rows)]
