"""What a run is evaluated on: the test lists of a protocol, checked against the stores, and scores of their rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, runtime_checkable

import numpy as np
import pandas as pd

from pipeline.errors import ProtocolError
from pipeline.protocol import ProtocolTables
from pipeline.protocol.checks import check_fits
from pipeline.protocol.tables import RowIndex, parity_lists, shaped
from pipeline.protocol.vocabulary import REGIMES, Modality, Task
from pipeline.scoring.calibration import Calibration
from pipeline.scoring.similarity import Matrix, similarity, similarity_table
from pipeline.store import Store, rows_of


@dataclass(frozen=True)
class Lists:
    """Trials and galleries of the test subset, in the order of their source."""

    verification: pd.DataFrame
    matching: pd.DataFrame
    matching_released: pd.DataFrame  # 1:2, by criterion; empty unless the protocol was imported
    unnamed: frozenset[str] = frozenset()  # protocol.tables.parity_lists
    challenge: pd.DataFrame = field(default_factory=lambda: shaped("challenge"))  # validation too: own trials of it

    def names_people(self, regime: str, criterion: str) -> bool:
        """Whether the identities of a cross-modal list are people, not made up for each trial."""
        return f"{criterion}_{REGIMES[regime].run_together}" not in self.unnamed

    def trials(self) -> Iterator[tuple[tuple[str, str, str], pd.DataFrame]]:
        """Each verification list as ((regime, task, criterion), trials), names in order."""
        for key, trials in self.verification.groupby(["regime", "task", "criterion"], sort=True, observed=True):
            yield (str(key[0]), str(key[1]), str(key[2])), trials

    def galleries(self) -> Iterator[tuple[tuple[str, ...], pd.DataFrame]]:
        """Each matching list as (names, probes): regime, "matching" or "matching_released", task, criterion if any."""
        for (regime, task), probes in self.matching.groupby(["regime", "task"], sort=True, observed=True):
            yield (str(regime), "matching", str(task)), probes
        released = self.matching_released.groupby(["regime", "task", "criterion"], sort=True, observed=True)
        for (regime, task, criterion), probes in released:
            yield (str(regime), "matching_released", str(task), str(criterion)), probes


def lists_of(tables: ProtocolTables, faces: Store, voices: Store) -> Lists:
    """The test lists of a protocol.

    Raises ProtocolError for a row that names an embedding which is not there or is of another person than the list
    says: the protocol was then written for other stores.
    """
    owners: dict[Modality, np.ndarray] = {
        "face": faces.index["identity"].to_numpy(dtype=object),
        "voice": voices.index["identity"].to_numpy(dtype=object),
    }
    check_fits(tables, {modality: len(names) for modality, names in owners.items()}, owners)
    parts = (tables.verification, tables.matching, tables.matching_released)
    verification, matching, released = (table[table["subset"] == "test"].reset_index(drop=True) for table in parts)
    unnamed = frozenset(parity_lists(tables.summary))
    lists = Lists(verification, matching, released, unnamed, tables.challenge)
    for _, probes in lists.galleries():
        candidates(probes)  # raises where they are of unequal size
    return lists


def candidates(probes: pd.DataFrame) -> RowIndex:
    """Rows (P, G) of the galleries, genuine candidate first; raises ProtocolError for galleries of unequal size."""
    sizes = probes["impostor_rows"].map(len)
    odd = sizes.index[(sizes != sizes.iloc[0]) | (sizes < 1)]
    if len(odd):
        raise ProtocolError(
            f"matching: row {odd[0]} holds {sizes[odd[0]]} impostors, row {sizes.index[0]} {sizes.iloc[0]}; "
            "galleries of one list must be of one size, at least one impostor each"
        )
    impostors = np.stack(probes["impostor_rows"].to_list()).astype(np.int64)
    return np.column_stack([probes["genuine_row"].to_numpy(dtype=np.int64), impostors])


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

    def calibration(self, left: str, right: str) -> Sequence[Calibration]:
        """What each of the S scores of a pair of two modalities means."""
        ...

    def embed(self, modality: str, vectors: Matrix) -> Matrix:
        """Embeddings (S, N, E) of vectors (N, D) of modality face | voice."""
        ...

    def score(self, left: str, probes: Matrix, right: str, candidates: Matrix) -> Matrix:
        """Scores (S, P, G) of probes (P, D) against their candidates (P, G, D)."""
        ...


class Member(Trained, Protocol):
    """A trained run of a fusion."""

    @property
    def judges(self) -> int:
        """How many scores it gives a pair."""
        ...


@runtime_checkable
class Fused(Member, Protocol):
    """Trained runs that score as one."""

    @property
    def members(self) -> Sequence[Member]:
        """The runs."""
        ...

    def ranks(self, task: Task) -> bool:
        """Whether it can score what the task compares."""
        ...

    def fused(self, sides: tuple[str, str], scores: Sequence[Matrix]) -> Matrix:
        """Scores (S, ...) from those of each member, (S of the member, ...)."""
        ...

    def fused_by(self, judge: int, sides: tuple[str, str], scores: Sequence[Matrix]) -> Matrix:
        """Scores (...) by the judge-th score of each member, (...)."""
        ...


class TrialScorer:
    """Scores of rows of the stores; of models that embed, each row that the lists name is embedded once."""

    def __init__(self, model: Trained, faces: Store, voices: Store, face_rows: RowIndex, voice_rows: RowIndex) -> None:
        """Take the stores, and embed the distinct `face_rows` and `voice_rows` of them."""
        self.model = model
        self._stores = {"face": faces, "voice": voices}
        self._rows = {"face": np.unique(face_rows), "voice": np.unique(voice_rows)}
        self._embeddings: dict[str, Matrix] = {}
        self._fusion = model if isinstance(model, Fused) else None
        members = self._fusion.members if self._fusion else []
        self._members = [TrialScorer(member, faces, voices, face_rows, voice_rows) for member in members]
        if model.compares == "embeddings":
            self._embeddings = {
                modality: model.embed(modality, rows_of(self._stores[modality].matrix, rows))
                for modality, rows in self._rows.items()
                if len(rows)
            }

    def pairs(self, sides: tuple[str, str], left: RowIndex, right: RowIndex) -> Matrix:
        """Scores (S, N) of left (N,) against right (N,)."""
        if self._fusion:
            return self._fusion.fused(sides, [member.pairs(sides, left, right) for member in self._members])
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
        if self._fusion:
            return self._fusion.fused(sides, [member.galleries(sides, probes, candidates) for member in self._members])
        width = candidates.shape[1]
        if self._embeddings:
            flat = self.pairs(sides, np.repeat(probes, width), candidates.reshape(-1))
            return flat.reshape(len(flat), len(probes), width)
        left, right = (partial(self._inputs, side) for side in sides)
        step = max(1, _PAIRS // width)
        return np.concatenate(
            [
                self.model.score(sides[0], left(probes[at : at + step]), sides[1], right(candidates[at : at + step]))
                for at in range(0, len(probes), step)
            ],
            axis=1,
        )

    def table(self, sides: tuple[str, str], queries: RowIndex, gallery: RowIndex, model: int) -> Matrix:
        """Scores (Q, G) of every query (Q,) against every item of the gallery (G,), by one of the S models."""
        if self._fusion:
            parts = zip(self._members, self._fusion.members, strict=True)
            tables = [own.table(sides, queries, gallery, min(model, member.judges - 1)) for own, member in parts]
            return self._fusion.fused_by(model, sides, tables)
        if not self._embeddings:
            return np.concatenate(
                [self.galleries(sides, queries[at : at + 1], gallery[None])[model] for at in range(len(queries))]
            )
        left, right = self._vectors(sides[0], queries)[model], self._vectors(sides[1], gallery)[model]
        return similarity_table(left, right)

    def _inputs(self, modality: str, rows: RowIndex) -> Matrix:
        """What a model takes (..., D), of rows (...) of a store."""
        return rows_of(self._stores[modality].matrix, rows.reshape(-1)).reshape(*rows.shape, -1)

    def _vectors(self, modality: str, rows: RowIndex) -> Matrix:
        """Embeddings (S, N, E) of rows (N,) that were named at the start."""
        return self._embeddings[modality][:, np.searchsorted(self._rows[modality], rows)]
