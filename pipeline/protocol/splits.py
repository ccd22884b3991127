"""The split of each identity, and the recordings of training identities that are held out for seen-heard trials.

Splits are identity-disjoint, with equal proportions of women and men where that is known.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.errors import ProtocolError
from pipeline.protocol.corpus import Corpus, Flags, IntArray
from pipeline.protocol.rng import rank_key
from pipeline.settings import ProtocolSettings

LEAST = 2  # identities per split: an impostor needs a second person


def assign_splits(people: pd.DataFrame, settings: ProtocolSettings) -> NDArray[np.object_]:
    """Split of each person (P,): train, validation or test, decided by the seed and the identity's name.

    People are ranked by a hash of their name; a stratum (modalities, gender) gives its first to test, its next to
    validation. So a new identity moves at most one or two others a stratum. People with both modalities are divided
    among themselves, so that those with one cannot thin the cross-modal trials out.
    Raises ProtocolError when people with both modalities are too few to leave two in every split.
    """
    split = np.full(len(people), "train", dtype=object)
    rank = np.argsort(np.argsort([rank_key(settings.seed, "split", name) for name in people["identity"]]))
    gender = people["gender"].fillna("unknown").to_numpy(dtype=object)
    modalities = people["modalities"].to_numpy(dtype=object)
    for group in ("both", "face", "voice"):
        members = np.flatnonzero(modalities == group)
        test, validation = _totals(len(members), group, settings)
        strata = [members[gender[members] == value] for value in sorted(set(gender[members]))]
        strata = [stratum[np.argsort(rank[stratum])] for stratum in strata]
        for name, total in (("test", test), ("validation", validation)):
            counts = allocate(total, [len(stratum) for stratum in strata])
            for position, count in enumerate(counts):
                split[strata[position][:count]] = name
                strata[position] = strata[position][count:]
    return split


def held_out_clips(corpus: Corpus, training: Flags, settings: ProtocolSettings) -> Flags:
    """Which recordings (clips,) are kept out of training: a share of each training person's, (P,) flags `training`.

    The share is taken among recordings of one kind (face and voice, face only, voice only), of two or more at least one
    and never all, so that every training person keeps a face and a voice to train on.
    """
    clips = corpus.clips.copy()
    faces = np.bincount(corpus.faces.clip, minlength=len(clips)) > 0
    voices = np.bincount(corpus.voices.clip, minlength=len(clips)) > 0
    clips["kind"] = faces + 2 * voices
    names = corpus.people["identity"].to_numpy(dtype=object)[clips["person"]]
    clips["key"] = [rank_key(settings.seed, "held out", *pair) for pair in zip(names, clips["clip"], strict=True)]
    grouped = clips.sort_values("key").groupby(["person", "kind"], sort=False)
    rank = grouped.cumcount().reindex(clips.index).to_numpy()
    size = grouped["key"].transform("size").reindex(clips.index).to_numpy()
    share = np.floor(settings.seen_heard_clips * size + 0.5)
    taken = np.clip(share, 1, size - 1) if settings.seen_heard_clips > 0 else np.zeros(len(clips))
    return np.asarray((rank < taken) & training[clips["person"].to_numpy()], dtype=np.bool_)


def class_indexes(training: Flags) -> IntArray:
    """(P,) 0..C-1 over the people who train, in the order of their names; -1 for all others."""
    return np.where(training, np.cumsum(training) - 1, -1).astype(np.int64)


def allocate(total: int, sizes: list[int]) -> list[int]:
    """Divide `total` <= sum(sizes) in proportion to `sizes` by largest remainders; no part exceeds its size."""
    whole = sum(sizes)
    if not whole:
        return [0] * len(sizes)
    shares = [divmod(total * size, whole) for size in sizes]  # integers: no rounding that differs by machine
    counts = [quotient for quotient, _ in shares]
    by_remainder = sorted(range(len(sizes)), key=lambda part: (-shares[part][1], part))
    for part in by_remainder[: total - sum(counts)]:
        counts[part] += 1
    return counts


def _totals(members: int, group: str, settings: ProtocolSettings) -> tuple[int, int]:
    ratios = (settings.test_ratio, settings.validation_ratio)
    test, validation = (max(LEAST, round(ratio * members)) if ratio > 0 else 0 for ratio in ratios)
    if members - test - validation >= LEAST:
        return test, validation
    if group == "both" and members:
        raise ProtocolError(
            f"{members} identities have both a face and a voice: with test_ratio {ratios[0]} and validation_ratio "
            f"{ratios[1]}, each at least {LEAST} of them, fewer than {LEAST} are left to train on; "
            "add identities or lower a ratio"
        )
    return 0, 0  # a handful of people with one modality: not worth a split of their own
