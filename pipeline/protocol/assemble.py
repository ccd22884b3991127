"""Lists, splits and training pairs put together: the tables of a protocol with their coverage and summary."""

import logging
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.protocol.corpus import Corpus, Flags
from pipeline.protocol.splits import class_indexes
from pipeline.protocol.tables import CoveredList, ProtocolTables, shaped, stacked
from pipeline.protocol.vocabulary import CRITERIA, CROSS_MODAL, RELEASED_MATCHING, TASKS
from pipeline.settings import ProtocolSettings

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Splits:
    """The split of each person, who of the training split trains, and the recordings kept from training."""

    split: np.ndarray  # (P,) train | validation | test
    training: Flags  # (P,) people of split train who have something to train on
    held_out: Flags  # (clips,) recordings kept from training


def assemble(
    corpus: Corpus, splits: Splits, lists: list[CoveredList], train_pairs: pd.DataFrame, settings: ProtocolSettings
) -> ProtocolTables:
    """One protocol; the first part of a list's name is its table."""
    empty = sum(not len(one.table) for one in lists)
    logger.info("protocol: %d lists, %d of them empty (coverage.csv says why)", len(lists), empty)
    tables = {
        name: stacked(name, [one.table for one in lists if one.name.split("/")[0] == name])
        for name in ("verification", "matching", "matching_released", "challenge")
    }
    people = corpus.people.assign(split=splits.split, class_index=class_indexes(splits.training))
    coverage = [one.coverage_row(mismatched_impostors(corpus, one.table, settings.age_bin)) for one in lists]
    return ProtocolTables(
        identities=shaped("identities", people),
        train_pairs=train_pairs,
        **tables,
        coverage=shaped("coverage", pd.DataFrame(coverage)),
        summary=_summary(corpus, splits, lists, len(train_pairs), settings),
    )


def mismatched_impostors(corpus: Corpus, table: pd.DataFrame, age_bin: float) -> int | None:
    """How many impostors of a list differ in a trait that it asks them to share, by the corpus's own metadata.

    A trait that is unknown of either side does not count. None where the list asks for nothing, or where nothing that
    it asks for is known of any pair. The released lists G and GNA give two people of each regime the wrong gender,
    which vox1_meta.csv has right; they are in every such trial.
    """
    if "criterion" not in table or not len(table):
        return None
    traits = {**RELEASED_MATCHING, **CRITERIA}[table["criterion"].iloc[0]].shared
    task = TASKS[table["task"].iloc[0]]
    left, right = _impostor_rows(table)
    known, differ = np.zeros(len(left), dtype=np.bool_), np.zeros(len(left), dtype=np.bool_)
    for trait in traits:
        ours = corpus.trait(task.left, trait, age_bin).iloc[left].reset_index(drop=True)
        theirs = corpus.trait(task.right, trait, age_bin).iloc[right].reset_index(drop=True)
        both = (ours.notna() & theirs.notna()).to_numpy(dtype=np.bool_)
        known |= both
        differ |= both & np.asarray((ours != theirs).fillna(False), dtype=np.bool_)
    return int(differ.sum()) if known.any() else None


def _impostor_rows(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Left and right rows of each pair of two people."""
    if "label" in table:
        trials = table[table["label"] == 0]
        return trials["left_row"].to_numpy(), trials["right_row"].to_numpy()
    flat = table[["probe_row", "impostor_rows"]].explode("impostor_rows")
    return flat["probe_row"].to_numpy(), flat["impostor_rows"].to_numpy(dtype=np.int64)


def _summary(
    corpus: Corpus, splits: Splits, lists: list[CoveredList], train_pairs: int, settings: ProtocolSettings
) -> dict[str, object]:
    """Counts of people, rows and recordings, the lists that are absent, and the settings they were generated with."""
    modalities = corpus.people["modalities"]
    in_split = {name: splits.split == name for name in ("train", "validation", "test")}
    return {
        "source": settings.source,
        "seed": settings.seed,
        "settings": settings.model_dump(),
        "identities": {name: int(members.sum()) for name, members in in_split.items()},
        "identities_paired": {name: int((members & corpus.paired).sum()) for name, members in in_split.items()},
        "identities_face_only": int((modalities == "face").sum()),
        "identities_voice_only": int((modalities == "voice").sum()),
        "identities_without_rows": corpus.without_rows,
        "classes": int(splits.training.sum()),
        "rows": {"faces": len(corpus.faces.person), "voices": len(corpus.voices.person)},
        "recordings": len(corpus.clips),
        "recordings_held_out": int(splits.held_out.sum()),
        "train_pairs": train_pairs,
        "cross_modal": any(len(one.table) for one in lists if f"/{CROSS_MODAL.name}/" in one.name),
        "absent": {one.name: one.reason for one in lists if not len(one.table)},
    }
