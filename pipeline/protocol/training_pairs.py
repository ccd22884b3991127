"""Training pairs: a face and a voice of one training person, as row i of the official feature files is."""

import numpy as np
import pandas as pd

from pipeline.protocol.chance import generator
from pipeline.protocol.corpus import Codes, Corpus, Flags
from pipeline.protocol.genuine import genuine_pairs
from pipeline.protocol.pools import pool
from pipeline.protocol.tables import shaped
from pipeline.settings import ProtocolSettings


def class_indexes(training: Flags) -> Codes:
    """(P,) 0..C-1 over the people who train, in the order of their names; -1 for all others."""
    return np.where(training, np.cumsum(training) - 1, -1).astype(np.int64)


def training_pairs(corpus: Corpus, training: Flags, held_out: Flags, settings: ProtocolSettings) -> pd.DataFrame:
    """Up to `pairs_per_identity` different pairs of each training person (P,), of recordings (clips,) not held out."""
    people = np.flatnonzero(training)
    chance = generator(settings.seed, "training pairs")
    faces, voices = (
        pool(rows, training[rows.person] & ~held_out[rows.clip], len(corpus.people), chance)
        for rows in (corpus.faces, corpus.voices)
    )
    classes = class_indexes(training)
    parts = [genuine_pairs(faces, voices, np.array([person]), settings.pairs_per_identity, "any") for person in people]
    columns = {"face_row": "left_row", "voice_row": "right_row"}
    table = {
        name: np.concatenate([np.empty(0, np.int64), *(getattr(part, side) for part in parts)])
        for name, side in columns.items()
    }
    lengths = [len(part) for part in parts]
    return shaped("train_pairs", pd.DataFrame({**table, "class_index": np.repeat(classes[people], lengths)}))
