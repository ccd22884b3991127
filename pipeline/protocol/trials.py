"""Verification lists: as many impostor as genuine trials, alternating as the released lists do."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.protocol.corpus import Corpus, Flags, IntArray
from pipeline.protocol.pairs import Pairs, Pool, genuine_pairs, impostor_pairs, matched_groups, pool
from pipeline.protocol.rng import named_rng
from pipeline.protocol.tables import CoveredList, shaped
from pipeline.protocol.vocabulary import (
    CROSS_MODAL,
    FACES,
    RANDOM,
    RECORDING_TRAITS,
    SEEN,
    UNSEEN,
    VOICES,
    Criterion,
    Modality,
    Regime,
    Task,
    criterion_named,
)
from pipeline.settings import ProtocolSettings


@dataclass(frozen=True)
class TrialUnits:
    """The owners of rows that trials are made of: genuine trials are within a unit, impostor trials between two.

    A unit is a person. Where the criterion names a trait of recordings, it is the part of a person's rows that share
    its value, and rows of which it is unknown are of no unit.
    """

    traits: pd.DataFrame  # a row per unit, with the columns of Corpus.people and the codes of the traits of recordings
    person: IntArray  # (U,) position in Corpus.people
    faces: IntArray  # (N,) unit of each row of the face store, -1: none
    voices: IntArray  # (N,) unit of each row of the voice store, -1: none

    def of(self, modality: Modality) -> IntArray:
        """Units of the rows of one store."""
        return self.faces if modality == "face" else self.voices


def trial_units(corpus: Corpus, criterion: Criterion = RANDOM) -> TrialUnits:
    """The units that a criterion's lists are made of."""
    split_by = [trait for trait in criterion.shared if trait in RECORDING_TRAITS]
    if not split_by:
        person = np.arange(len(corpus.people), dtype=np.int64)
        return TrialUnits(corpus.people, person, corpus.faces.person, corpus.voices.person)
    stores = (corpus.faces, corpus.voices)
    keys = pd.DataFrame({"person": np.concatenate([rows.person for rows in stores])})
    for trait in split_by:
        keys[trait] = np.concatenate([rows.traits[trait] for rows in stores])
    known = (keys[split_by] >= 0).all(axis=1).to_numpy()
    found = keys[known].drop_duplicates().sort_values(list(keys), ignore_index=True)
    unit = pd.MultiIndex.from_frame(found).get_indexer(pd.MultiIndex.from_frame(keys)).astype(np.int64)
    person = found["person"].to_numpy(dtype=np.int64)
    traits = corpus.people.iloc[person].reset_index(drop=True).assign(**{trait: found[trait] for trait in split_by})
    return TrialUnits(traits, person, unit[: len(corpus.faces.person)], unit[len(corpus.faces.person) :])


@dataclass(frozen=True)
class TrialCondition:
    """Rows that one set of lists may use: a subset, a regime, and the usable rows of both stores."""

    subset: str
    regime: Regime
    faces: Flags  # (rows of the face store,)
    voices: Flags  # (rows of the voice store,)

    def usable(self, modality: Modality) -> Flags:
        """Usable rows of one store."""
        return self.faces if modality == "face" else self.voices

    def pools(self, corpus: Corpus, task: Task, units: TrialUnits, settings: ProtocolSettings) -> tuple[Pool, Pool]:
        """Left and right pool of a task; a task within one modality takes both sides from one pool."""

        def pool_of(modality: Modality) -> Pool:
            rng = named_rng(settings.seed, self.subset, self.regime.name, modality)
            unit = units.of(modality)
            return pool(unit, corpus.rows(modality).clip, self.usable(modality) & (unit >= 0), len(units.person), rng)

        left = pool_of(task.left)
        return left, pool_of(task.right) if task.is_cross_modal else left

    def people(self, corpus: Corpus, task: Task) -> int:
        """How many people have usable rows on both sides of a task."""
        sides = [
            np.bincount(corpus.rows(side).person[self.usable(side)], minlength=len(corpus.people)) > 0
            for side in task.sides
        ]
        return int((sides[0] & sides[1]).sum())


def unseen_condition(corpus: Corpus, subset: str, split: np.ndarray) -> TrialCondition:
    """All rows of the people (P,) of one split."""
    members = np.asarray(split == subset)
    return TrialCondition(subset, UNSEEN, members[corpus.faces.person], members[corpus.voices.person])


def seen_condition(corpus: Corpus, training: Flags, held_out: Flags) -> TrialCondition:
    """The rows of training people (P,) in recordings (clips,) that were held out."""
    faces = training[corpus.faces.person] & held_out[corpus.faces.clip]
    return TrialCondition("test", SEEN, faces, training[corpus.voices.person] & held_out[corpus.voices.clip])


def verification_lists(corpus: Corpus, condition: TrialCondition, settings: ProtocolSettings) -> list[CoveredList]:
    """The lists of one condition: cross-modal by each criterion of the settings, and a random one of each modality."""
    wanted = [(CROSS_MODAL, criterion_named(name)) for name in settings.criteria]
    wanted += [(FACES, RANDOM), (VOICES, RANDOM)]
    return [verification_list(corpus, condition, task, criterion, settings) for task, criterion in wanted]


def verification_list(
    corpus: Corpus, condition: TrialCondition, task: Task, criterion: Criterion, settings: ProtocolSettings
) -> CoveredList:
    """Generate one list; it is empty, with the reason, where the corpus cannot give a single trial of both kinds.

    Genuine trials pair two recordings; cross-modal ones of a person with a single recording pair its face and voice
    (as all seen-heard trials of the released lists do). Only people who have an impostor are in trials.
    """
    name = f"verification/{condition.subset}/{condition.regime.name}/{task.name}/{criterion.name}"
    units = trial_units(corpus, criterion)
    left, right = condition.pools(corpus, task, units, settings)
    able = np.flatnonzero((left.counts > 0) & (right.counts > 0))
    groups = matched_groups(units.traits, able, criterion, settings.age_bin)
    half = settings.trials // 2
    rng = named_rng(settings.seed, name)
    matched = rng.permutation(np.concatenate([np.empty(0, np.int64), *groups]).astype(np.int64))
    genuine = genuine_pairs(left, right, matched, half, "rather_other" if task.is_cross_modal else "other")
    impostors = impostor_pairs(left, right, groups, min(half, len(genuine)), rng)
    count = min(len(genuine), len(impostors))
    table = _interleaved(corpus, units, genuine.take(slice(0, count)), impostors.take(slice(0, count)))
    table = table.assign(
        subset=condition.subset, regime=condition.regime.name, task=task.name, criterion=criterion.name
    )
    table = shaped("verification", table)
    if not count:
        reason = _why_absent(condition.people(corpus, task), len(groups), criterion, task)
        return CoveredList(table, name, 2 * half, reason)
    return CoveredList(table, name, 2 * half, _remark(corpus, table, task))


def _interleaved(corpus: Corpus, units: TrialUnits, genuine: Pairs, impostors: Pairs) -> pd.DataFrame:
    names = corpus.people["identity"].to_numpy(dtype=object)[units.person]

    def alternating(column: str) -> np.ndarray:
        return np.stack([getattr(genuine, column), getattr(impostors, column)], axis=1).reshape(-1)

    rows = 2 * len(genuine)
    return pd.DataFrame(
        {
            "left_row": alternating("left_row"),
            "right_row": alternating("right_row"),
            "label": 1 - np.arange(rows) % 2,
            "left_identity": names[alternating("left_owner")],
            "right_identity": names[alternating("right_owner")],
            "position": np.arange(rows),
        }
    )


def _why_absent(people: int, groups: int, criterion: Criterion, task: Task) -> str:
    if people < 2:
        return f"absent: {people} identities have rows for it; two are needed"
    if not groups:
        return f"absent: no two of {people} identities share a known {criterion.words}"
    return f"absent: no identity has {'rows' if task.is_cross_modal else task.name + ' rows'} from two recordings"


def _remark(corpus: Corpus, table: pd.DataFrame, task: Task) -> str:
    people = table["left_identity"].nunique()
    if not task.is_cross_modal:
        return f"{people} identities"
    genuine = table[table["label"] == 1]
    voices, faces = corpus.voices.clip[genuine["left_row"]], corpus.faces.clip[genuine["right_row"]]
    return f"{people} identities; {int((voices == faces).sum())} genuine trials within one recording"
