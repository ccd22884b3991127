"""Impostors of a list who do not share what its criterion says they share."""

import numpy as np
import pandas as pd

from pipeline.protocol.corpus import Corpus, Flags
from pipeline.protocol.trials import Drawn
from pipeline.protocol.vocabulary import CRITERIA, MATCHING_TASKS, RELEASED_MATCHING


def mismatched(corpus: Corpus, drawn: Drawn, age_bin: float) -> int | None:
    """How many impostors of a list differ in a trait that it asks them to share, by the corpus's own metadata.

    A trait that is unknown of either person does not count. None where the list asks for nothing, or where nothing that
    it asks for is known of any pair. In the released lists G and GNA two people of each regime stand among the other
    gender, which vox1_meta.csv has right; they are in every such trial.
    """
    table = drawn.table
    traits = _traits(table)
    if not traits:
        return None
    left, right = _impostors(corpus, table)
    people = corpus.people.assign(age=corpus.people["age"] // age_bin).set_index("identity")
    known, differ = np.zeros(len(left), dtype=np.bool_), np.zeros(len(left), dtype=np.bool_)
    for trait in traits:
        ours, theirs = (people[trait].reindex(names).reset_index(drop=True) for names in (left, right))
        both = (ours.notna() & theirs.notna()).to_numpy(dtype=np.bool_)
        known |= both
        differ |= both & _unequal(ours, theirs)
    return int(differ.sum()) if known.any() else None


def _traits(table: pd.DataFrame) -> tuple[str, ...]:
    if "criterion" not in table or not len(table):
        return ()
    return {**RELEASED_MATCHING, **CRITERIA}[table["criterion"].iloc[0]].shared


def _impostors(corpus: Corpus, table: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Names of both people of each pair that is none."""
    if "label" in table:
        trials = table[table["label"] == 0]
        return trials["left_identity"], trials["right_identity"]
    flat = table[["task", "probe_identity", "impostor_rows"]].explode("impostor_rows")
    gallery = corpus.faces if MATCHING_TASKS[flat["task"].iloc[0]].right == "face" else corpus.voices
    person = gallery.person[flat["impostor_rows"].to_numpy(dtype=np.int64)]
    return flat["probe_identity"], corpus.people["identity"].iloc[person]


def _unequal(ours: pd.Series, theirs: pd.Series) -> Flags:
    return np.asarray((ours != theirs).fillna(False), dtype=np.bool_)
