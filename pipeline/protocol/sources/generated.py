"""A protocol for any corpus, with the structure of the released one."""

import logging

import numpy as np
import pandas as pd

from pipeline.protocol.corpus import Corpus, Flags
from pipeline.protocol.galleries import matching_list
from pipeline.protocol.held_out import held_out_clips
from pipeline.protocol.mismatches import mismatched
from pipeline.protocol.splits import assign_splits
from pipeline.protocol.summary import summarise
from pipeline.protocol.tables import ProtocolTables, shaped, stacked
from pipeline.protocol.training_pairs import class_indexes, training_pairs
from pipeline.protocol.trials import Drawn, Scene, verification_list
from pipeline.protocol.vocabulary import (
    CROSS_MODAL,
    FACES,
    MATCHING_TASKS,
    RANDOM,
    SEEN,
    UNSEEN,
    VOICES,
    criterion_named,
)
from pipeline.settings import ProtocolSettings

logger = logging.getLogger(__name__)


def generate(corpus: Corpus, settings: ProtocolSettings) -> tuple[ProtocolTables, Flags]:
    """Split the people, hold recordings out, draw training pairs, trials and galleries; all decided by the seed.

    Only people with a face and a voice train or stand in cross-modal trials; the others stand in trials of their one
    modality. Lists that the corpus cannot give are absent, with the reason in coverage. Also returns which recordings
    (clips,) are held out of training. Raises ProtocolError for too few people.
    """
    split = assign_splits(corpus.people, settings)
    training = np.asarray((split == "train") & corpus.paired)
    held_out = held_out_clips(corpus, training, settings)
    scenes = [
        unseen(corpus, "validation", split),
        unseen(corpus, "test", split),
        seen(corpus, training, held_out),
    ]
    verification = [drawn for scene in scenes for drawn in scene_lists(corpus, scene, settings)]
    matching = [matching_list(corpus, scenes[1], task, settings) for task in MATCHING_TASKS.values()]
    pairs = training_pairs(corpus, training, held_out, settings)
    return assembled(corpus, settings, split, training, held_out, [*verification, *matching], pairs), held_out


def assembled(
    corpus: Corpus,
    settings: ProtocolSettings,
    split: np.ndarray,
    training: Flags,
    held_out: Flags,
    lists: list[Drawn],
    pairs: pd.DataFrame,
) -> ProtocolTables:
    """Lists, training pairs, people, coverage and summary as one protocol; a list's name tells its table."""
    empty = sum(not len(drawn.table) for drawn in lists)
    logger.info("protocol: %d lists, %d of them empty (coverage.csv says why)", len(lists), empty)
    tables = {
        name: stacked(name, [drawn.table for drawn in lists if drawn.name.split("/")[0] == name])
        for name in ("verification", "matching", "matching_released")
    }
    return ProtocolTables(
        identities=shaped("identities", corpus.people.assign(split=split, class_index=class_indexes(training))),
        train_pairs=pairs,
        **tables,
        coverage=shaped("coverage", pd.DataFrame([_line(corpus, drawn, settings) for drawn in lists])),
        summary=summarise(corpus, settings, split, training, held_out, pairs, lists),
    )


def _line(corpus: Corpus, drawn: Drawn, settings: ProtocolSettings) -> dict[str, object]:
    return {**drawn.line(), "mismatched": mismatched(corpus, drawn, settings.age_bin)}


def scene_lists(corpus: Corpus, scene: Scene, settings: ProtocolSettings) -> list[Drawn]:
    """The verification lists of one scene: cross-modal by criterion, and one of each modality alone."""
    wanted = [(CROSS_MODAL, criterion_named(name)) for name in settings.criteria]
    wanted += [(FACES, RANDOM), (VOICES, RANDOM)]
    return [verification_list(corpus, scene, task, criterion, settings) for task, criterion in wanted]


def unseen(corpus: Corpus, subset: str, split: np.ndarray) -> Scene:
    """All rows of a split's people."""
    members = np.asarray(split == subset)
    return Scene(subset, UNSEEN, members[corpus.faces.person], members[corpus.voices.person])


def seen(corpus: Corpus, training: Flags, held_out: Flags) -> Scene:
    """The rows of training people in recordings that were held out."""
    faces = training[corpus.faces.person] & held_out[corpus.faces.clip]
    return Scene("test", SEEN, faces, training[corpus.voices.person] & held_out[corpus.voices.clip])
