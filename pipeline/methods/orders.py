"""In which order training sees faces and voices (the paper's section 3.5, Tables IV and V).

Row i of the training pairs is a face and a voice of one person. A method that takes samples sees one modality each; an
order says how the 2N samples of N pairs follow one another. A method that takes pairs, and a run of one modality, know
no such order.

`identity_uniform` is for all of them. It says who is in a batch: each identity as often as any other, or once more.
What enters is a pair of one identity: both its samples, side by side, where a method takes samples of both modalities;
its one sample in a run of one modality; the pair where a method takes pairs. In the other orders an identity is seen as
often as it has pairs. An epoch has as many batches as theirs, so that runs compare at equal steps; in it, too, nobody
enters more than once oftener than another, and the pairs of an identity all come before one comes again. Whoever has
few pairs is then seen with them again, and of whoever has many a part is left for other epochs (with `shuffle: once`,
for none). Source: the sampling of my-yy/vfal-eva, identities near uniform. Its pairs are of one recording; ours are
the protocol's, which pairs any face of a person with any voice.
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


def plan_of_samples(settings: RunSettings, labels: Rows, epoch: int, seed: int) -> Plan:
    """The batches of epoch `epoch` (from 0) of samples of N training pairs of identities (N,), for one seed.

    `shuffle: once` orders the pairs before the first epoch and never again, as the official code does; `epoch` orders
    them anew. The last partial batch is dropped, as there; but where the first is partial already, it is kept. For runs
    of one modality the official code keeps the order of its file; ours would be batches of one person, and is shuffled.
    Raises ProtocolError for fewer samples than batch normalisation needs, which is two.
    """
    pairs, rng = len(labels), _rng(settings, epoch, seed)
    if settings.order != "identity_uniform":
        pair, voice = _samples(settings, pairs, epoch, rng)
        return _batches(pair, voice, settings.batch_size, pairs)
    if settings.modality != "both":
        pair = _uniform(labels, *_extent(pairs, settings.batch_size, pairs), rng)
        return Plan(pair, np.full(pair.shape, settings.modality == "voice"))
    steps, size = _extent(2 * pairs, settings.batch_size, pairs)
    pair = np.repeat(_uniform(labels, steps, size // 2, rng), 2, axis=1)
    return Plan(pair, np.tile([True, False], (steps, size // 2)))


def plan_of_pairs(settings: RunSettings, labels: Rows, epoch: int, seed: int) -> Plan:
    """The batches of epoch `epoch` (from 0) of whole pairs of identities (N,), for one seed; as those of samples."""
    pairs, rng = len(labels), _rng(settings, epoch, seed)
    if settings.order == "identity_uniform":
        pair = _uniform(labels, *_extent(pairs, settings.batch_size, pairs), rng)
        return Plan(pair, np.zeros(pair.shape, dtype=np.bool_))
    return _batches(rng.permutation(pairs), np.zeros(pairs, dtype=np.bool_), settings.batch_size, pairs)


def _rng(settings: RunSettings, epoch: int, seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, 0 if settings.shuffle == "once" else epoch])


def _batches(pair: Rows, voice: NDArray[np.bool_], batch_size: int, pairs: int) -> Plan:
    steps, size = _extent(len(pair), batch_size, pairs)
    shape = (steps, size)
    return Plan(pair[: steps * size].reshape(shape), voice[: steps * size].reshape(shape))


def _extent(samples: int, batch_size: int, pairs: int) -> tuple[int, int]:
    """How many batches an epoch has, and of how many samples."""
    if samples < 2:
        raise ProtocolError(f"{pairs} training pair(s) are too few: batch normalisation needs two samples a batch")
    size = min(batch_size, samples)
    return samples // size, size


def _uniform(labels: Rows, steps: int, size: int, rng: np.random.Generator) -> Rows:
    """Rows of pairs (steps, size), of all identities as equally as can be in every batch and in all of them."""
    code = np.unique(labels, return_inverse=True)[1]
    mixed = rng.permutation(len(code))
    own = mixed[np.argsort(code[mixed], kind="stable")]  # the pairs of each identity in turn, in random order
    counts = np.bincount(code)
    starts, people = np.cumsum(counts) - counts, len(counts)
    entered = np.zeros(people, dtype=np.int64)  # how often, since the epoch began
    found = np.empty((steps, size), dtype=np.int64)
    for batch in found:
        times = np.full(people, size // people)
        times[np.lexsort((rng.random(people), entered))[: size % people]] += 1  # who entered least, then by chance
        who = np.repeat(np.arange(people), times)
        turn = entered[who] + np.arange(size) - np.repeat(np.cumsum(times) - times, times)
        batch[:] = rng.permutation(own[starts[who] + turn % counts[who]])
        entered += times
    return found


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
        case _:  # alternate
            return pair, voice if epoch // settings.alternate_epochs % 2 else face
