"""Verification lists: as many impostor as genuine trials, alternating as the released lists do."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.protocol.chance import generator
from pipeline.protocol.corpus import Corpus, Flags, Rows
from pipeline.protocol.genuine import Pairs, genuine_pairs
from pipeline.protocol.impostors import alike, impostor_pairs
from pipeline.protocol.pools import Pool, pool
from pipeline.protocol.tables import shaped
from pipeline.protocol.vocabulary import Criterion, Regime, Task
from pipeline.settings import ProtocolSettings


@dataclass(frozen=True)
class Scene:
    """Rows that one set of lists may use: a subset, a regime, and the usable rows of both stores."""

    subset: str
    regime: Regime
    faces: Flags  # (rows of the face store,)
    voices: Flags  # (rows of the voice store,)

    def pools(self, corpus: Corpus, task: Task, settings: ProtocolSettings) -> tuple[Pool, Pool]:
        """Left and right pool of a task; unimodal tasks draw both sides from one pool."""

        def drawn(modality: str, rows: Rows, usable: Flags) -> Pool:
            chance = generator(settings.seed, self.subset, self.regime.name, modality)
            return pool(rows, usable, len(corpus.people), chance)

        stores = {"face": (corpus.faces, self.faces), "voice": (corpus.voices, self.voices)}
        left = drawn(task.left, *stores[task.left])
        return left, drawn(task.right, *stores[task.right]) if task.is_cross_modal else left


@dataclass(frozen=True)
class Drawn:
    """A list and its line of coverage.csv."""

    table: pd.DataFrame
    name: str
    rows: int  # wanted
    reason: str  # why it is absent, or what to know about it
    missing_items: int = 0  # media that an imported list names and the stores do not hold

    def line(self) -> dict[str, object]:
        """Its line of coverage.csv."""
        row = {"list": self.name, "rows": self.rows, "used": len(self.table)}
        return {**row, "missing_items": self.missing_items, "reason": self.reason}


def verification_list(
    corpus: Corpus, scene: Scene, task: Task, criterion: Criterion, settings: ProtocolSettings
) -> Drawn:
    """Draw one list; it is empty, with the reason, where the corpus cannot give a single trial of both kinds.

    Genuine trials pair two recordings; cross-modal ones of a person with a single recording pair its face and voice
    (as all seen-heard trials of the released lists do). Only people who have an impostor are tried at all.
    """
    name = f"verification/{scene.subset}/{scene.regime.name}/{task.name}/{criterion.name}"
    left, right = scene.pools(corpus, task, settings)
    able = np.flatnonzero((left.counts > 0) & (right.counts > 0))
    groups = alike(corpus.people, able, criterion, settings.age_bin)
    half = settings.trials // 2
    chance = generator(settings.seed, name)
    tried = chance.permutation(np.concatenate([np.empty(0, np.int64), *groups]).astype(np.int64))
    genuine = genuine_pairs(left, right, tried, half, "rather_other" if task.is_cross_modal else "other")
    impostors = impostor_pairs(left, right, groups, min(half, len(genuine)), chance)
    count = min(len(genuine), len(impostors))
    table = _interleaved(corpus, genuine.take(slice(0, count)), impostors.take(slice(0, count)))
    table = table.assign(subset=scene.subset, regime=scene.regime.name, task=task.name, criterion=criterion.name)
    table = shaped("verification", table)
    if not count:
        return Drawn(table, name, 2 * half, _why_absent(len(able), len(groups), criterion, task))
    return Drawn(table, name, 2 * half, _remark(corpus, table, task))


def _interleaved(corpus: Corpus, genuine: Pairs, impostors: Pairs) -> pd.DataFrame:
    names = corpus.people["identity"].to_numpy(dtype=object)

    def alternating(column: str) -> np.ndarray:
        return np.stack([getattr(genuine, column), getattr(impostors, column)], axis=1).reshape(-1)

    rows = 2 * len(genuine)
    return pd.DataFrame(
        {
            "left_row": alternating("left_row"),
            "right_row": alternating("right_row"),
            "label": 1 - np.arange(rows) % 2,
            "left_identity": names[alternating("left_person")],
            "right_identity": names[alternating("right_person")],
            "position": np.arange(rows),
        }
    )


def _why_absent(able: int, groups: int, criterion: Criterion, task: Task) -> str:
    if able < 2:
        return f"absent: {able} identities have rows for it; two are needed"
    if not groups:
        return f"absent: no two of {able} identities share a known {criterion.words}"
    return f"absent: no identity has {'rows' if task.is_cross_modal else task.name + ' rows'} from two recordings"


def _remark(corpus: Corpus, table: pd.DataFrame, task: Task) -> str:
    people = table["left_identity"].nunique()
    if not task.is_cross_modal:
        return f"{people} identities"
    genuine = table[table["label"] == 1]
    voices, faces = corpus.voices.clip[genuine["left_row"]], corpus.faces.clip[genuine["right_row"]]
    return f"{people} identities; {int((voices == faces).sum())} genuine trials within one recording"
