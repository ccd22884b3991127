"""In which order training sees faces and voices (the paper's section 3.5, Tables IV and V).

Row i of the training pairs is a face and a voice of one person. A method that takes samples sees one modality each; an
order says how the 2N samples of N pairs follow one another. A method that takes pairs knows no order.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ProtocolError
from pipeline.settings import RunSettings

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Plan:
    """One epoch: sample j of batch i is one modality of pair `pair[i, j]`."""

    pair: Rows  # (steps, B) row of the training pairs
    voice: NDArray[np.bool_]  # (steps, B) whether the sample is the pair's voice; of whole pairs it says nothing


def plan_of_samples(settings: RunSettings, pairs: int, epoch: int, seed: int) -> Plan:
    """The batches of epoch `epoch` (from 0) of samples of N training pairs, for one seed.

    `shuffle: once` orders the pairs before the first epoch and never again, as the official code does; `epoch` orders
    them anew. The last partial batch is dropped, as there; but where the first is partial already, it is kept. For runs
    of one modality the official code keeps the order of its file; ours would be batches of one person, and is shuffled.
    Raises ProtocolError for fewer samples than batch normalisation needs, which is two.
    """
    pair, voice = _samples(settings, pairs, epoch, _rng(settings, epoch, seed))
    return _batches(pair, voice, settings.batch_size, pairs)


def plan_of_pairs(settings: RunSettings, pairs: int, epoch: int, seed: int) -> Plan:
    """The batches of epoch `epoch` (from 0) of whole pairs, for one seed; shuffled and cut as samples are."""
    pair = _rng(settings, epoch, seed).permutation(pairs)
    return _batches(pair, np.zeros(pairs, dtype=np.bool_), settings.batch_size, pairs)


def _rng(settings: RunSettings, epoch: int, seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, 0 if settings.shuffle == "once" else epoch])


def _batches(pair: Rows, voice: NDArray[np.bool_], batch_size: int, pairs: int) -> Plan:
    if len(pair) < 2:
        raise ProtocolError(f"{pairs} training pair(s) are too few: batch normalisation needs two samples a batch")
    size = min(batch_size, len(pair))
    steps = len(pair) // size
    shape = (steps, size)
    return Plan(pair[: steps * size].reshape(shape), voice[: steps * size].reshape(shape))


def _samples(
    settings: RunSettings, pairs: int, epoch: int, rng: np.random.Generator
) -> tuple[Rows, NDArray[np.bool_]]:  # (M,), (M,)
    pair = rng.permutation(pairs)
    face, voice = np.zeros(pairs, dtype=np.bool_), np.ones(pairs, dtype=np.bool_)
    if settings.modality != "both":
        return pair, voice if settings.modality == "voice" else face
    both = np.concatenate([pair, pair])
    match settings.order:
        case "vfvf":
            return np.repeat(pair, 2), np.column_stack([voice, face]).reshape(-1)
        case "fvfv":
            return np.repeat(pair, 2), np.column_stack([face, voice]).reshape(-1)
        case "hefhev":
            return both, np.concatenate([face, voice])
        case "hevhef":
            return both, np.concatenate([voice, face])
        case "random":
            mixed = rng.permutation(2 * pairs)
            return both[mixed], np.concatenate([face, voice])[mixed]
        case "alternate":
            return pair, voice if epoch // settings.alternate_epochs % 2 else face
