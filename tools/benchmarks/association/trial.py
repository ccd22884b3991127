"""SBNet trained and tested on one split of a corpus, with voices as they are or exchanged within gender."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from pipeline.evaluation import evaluate, lists_of
from pipeline.protocol.sources import build_protocol
from pipeline.settings import EvaluateSettings, ProtocolSettings, RunSettings
from pipeline.store import Store
from pipeline.training import train_run, training_lists


@dataclass(frozen=True)
class Corpus:
    """What extraction made of a corpus."""

    manifest: pd.DataFrame
    faces: Store
    voices: Store


@dataclass(frozen=True)
class Rates:
    """Cross-modal AUC on unseen people, percent, mean over the training seeds."""

    overall: float
    within_gender: float


def exchange_voices(corpus: Corpus, seed: int) -> Corpus:
    """Give every person the voice vectors of another of the same gender, nobody their own; the tables stay.

    Face and voice of a person then agree in gender alone, so that within a gender nothing is left to learn.
    """
    gender = corpus.manifest.groupby("identity")["gender"].first()
    rows = corpus.voices.index.groupby("identity").indices
    matrix, rng = corpus.voices.matrix.copy(), np.random.default_rng(seed)
    for _, people in gender[gender.index.isin(list(rows))].groupby(gender, dropna=False):
        names = rng.permutation(people.index.to_numpy(dtype=str))
        for taker, giver in zip(names, np.roll(names, 1), strict=True):
            matrix[rows[taker]] = corpus.voices.matrix[np.resize(rows[giver], len(rows[taker]))]
    return Corpus(corpus.manifest, corpus.faces, Store(matrix, corpus.voices.index, corpus.voices.provenance))


def measure(corpus: Corpus, protocol: ProtocolSettings, train: RunSettings, evaluation: EvaluateSettings) -> Rates:
    """Split, train and evaluate in this process; nothing of it stays on disk."""
    faces, voices = corpus.faces, corpus.voices
    tables = build_protocol(corpus.manifest, faces.index, voices.index, protocol, Path(protocol.lists))
    lists = training_lists(tables, train, len(faces.matrix), len(voices.matrix))
    run = train_run(train, lists, faces.matrix, voices.matrix, torch.device("cpu"))
    metrics = evaluate(run.model, evaluation, lists_of(tables, faces, voices), faces, voices).metrics
    rates = metrics["verification"]["cross_modal"]
    return Rates(float(rates["random"]["auc"]), float(rates["G"]["auc"]))
