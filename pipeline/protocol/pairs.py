"""Pairs of rows, all different, that use people and rows as evenly as their numbers allow.

Genuine pairs are of one owner, impostor pairs of two. The owner of a row is a person, or a part of a person's rows
(`trials.TrialUnits`).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from pipeline.protocol.corpus import Corpus, Flags, IntArray, trait_in_bins
from pipeline.protocol.rng import named_rng
from pipeline.protocol.splits import class_indexes
from pipeline.protocol.tables import shaped
from pipeline.protocol.vocabulary import Criterion
from pipeline.settings import ProtocolSettings

# any: training pairs. other: of two recordings. rather_other: of two, or of one for owners who have only one.
ClipRule = Literal["any", "other", "rather_other"]


@dataclass(frozen=True)
class Pool:
    """Rows of one modality that may be used for one list; owner o has positions starts[o] to starts[o + 1]."""

    rows: IntArray  # (n,) rows of the store, by owner, in random order within an owner
    clips: IntArray  # (n,) their recordings
    starts: IntArray  # (O + 1,)

    @property
    def counts(self) -> IntArray:
        """(O,) rows of each owner."""
        return np.diff(self.starts)

    def of(self, owner: int) -> slice:
        """Positions of one owner."""
        return slice(int(self.starts[owner]), int(self.starts[owner + 1]))


def pool(owner: IntArray, clip: IntArray, usable: Flags, owners: int, rng: np.random.Generator) -> Pool:
    """Group the usable rows (N,) of a store by owner (N,), shuffled by `rng`."""
    chosen = np.flatnonzero(usable)
    order = np.lexsort((rng.random(len(chosen)), owner[chosen]))
    chosen = chosen[order]
    counts = np.bincount(owner[chosen], minlength=owners)
    return Pool(chosen, clip[chosen], np.concatenate([[0], np.cumsum(counts)]).astype(np.int64))


def equal_quotas(capacities: IntArray, total: int) -> IntArray:
    """How many each gives so that together they give at least `total` (or all they have), nobody more than needed.

    Everybody gives the same number, except those who have fewer.
    """
    ordered = np.sort(capacities)
    sums = np.cumsum(ordered) + ordered * np.arange(len(ordered) - 1, -1, -1)  # of all when the quota is ordered[i]
    short = int(np.searchsorted(sums, total))
    if short == len(ordered):
        return capacities.copy()
    below = int(ordered[:short].sum())
    quota = -(-(total - below) // (len(ordered) - short))
    return np.minimum(capacities, quota)


@dataclass(frozen=True)
class Pairs:
    """Row pairs (n,) and their owners."""

    left_row: IntArray
    right_row: IntArray
    left_owner: IntArray
    right_owner: IntArray

    def __len__(self) -> int:
        return len(self.left_row)

    def take(self, chosen: IntArray | slice) -> "Pairs":
        """Some of the pairs, in the order given."""
        return Pairs(self.left_row[chosen], self.right_row[chosen], self.left_owner[chosen], self.right_owner[chosen])


def genuine_pairs(left: Pool, right: Pool, owners: IntArray, total: int, rule: ClipRule) -> Pairs:
    """Up to `total` pairs of `owners`, one owner after the other in rounds, so that any head is balanced.

    With `left is right` a pair is unordered and never a row with itself.
    """
    capacities = np.array([_capacity(left, right, owner, rule) for owner in owners], dtype=np.int64)
    quotas = equal_quotas(capacities, total)
    parts = [_within_owner(left, right, owner, int(quota), rule) for owner, quota in zip(owners, quotas, strict=True)]
    i, j = (np.concatenate([np.empty(0, np.int64), *(pair[side] for pair in parts)]) for side in (0, 1))
    owner = np.repeat(owners, quotas)
    rounds = np.concatenate([np.empty(0, np.int64), *(np.arange(quota) for quota in quotas)])
    order = np.argsort(rounds, kind="stable")[:total]
    return Pairs(left.rows[i], right.rows[j], owner, owner).take(order)


def _capacity(left: Pool, right: Pool, owner: int, rule: ClipRule) -> int:
    """How many different pairs the rule allows."""
    a, b = int(left.counts[owner]), int(right.counts[owner])
    every = a * (a - 1) // 2 if left is right else a * b
    if rule == "any":
        return every
    other = _pairs_of_two_clips(left, right, owner)
    return every if rule == "rather_other" and not other else other


def _pairs_of_two_clips(left: Pool, right: Pool, owner: int) -> int:
    left_clips, left_counts = np.unique(left.clips[left.of(owner)], return_counts=True)
    right_clips, right_counts = np.unique(right.clips[right.of(owner)], return_counts=True)
    _, at_left, at_right = np.intersect1d(left_clips, right_clips, assume_unique=True, return_indices=True)
    within = int(left_counts[at_left] @ right_counts[at_right])
    other = int(left_counts.sum() * right_counts.sum()) - within
    return other // 2 if left is right else other


def _within_owner(left: Pool, right: Pool, owner: int, quota: int, rule: ClipRule) -> tuple[IntArray, IntArray]:
    """`quota` pairs as positions in the pools, diagonal by diagonal: each diagonal uses every left row once."""
    a, b = int(left.counts[owner]), int(right.counts[owner])
    if not quota:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    if rule == "rather_other" and not _pairs_of_two_clips(left, right, owner):
        rule = "any"
    diagonals, most = -(-quota // a), a // 2 if left is right else b
    while True:
        diagonals = min(diagonals, most)
        i, j = _half_diagonals(a, diagonals) if left is right else _diagonals(a, b, diagonals)
        i, j = i + left.starts[owner], j + right.starts[owner]
        if rule != "any":
            other = left.clips[i] != right.clips[j]
            i, j = i[other], j[other]
        if len(i) >= quota or diagonals == most:
            return i[:quota], j[:quota]
        diagonals *= 2


def _diagonals(a: int, b: int, count: int) -> tuple[IntArray, IntArray]:
    i = np.tile(np.arange(a), count)
    return i, (i + np.repeat(np.arange(count), a)) % b


def _half_diagonals(a: int, count: int) -> tuple[IntArray, IntArray]:
    """Unordered pairs of a rows: (i, i + d) for d = 1, 2, ...; d = a / 2 would give every pair twice."""
    i, distance = np.tile(np.arange(a), count), np.repeat(np.arange(1, count + 1), a)
    once = (2 * distance != a) | (i < distance)
    return i[once], ((i + distance) % a)[once]


def matched_groups(owners: pd.DataFrame, chosen: IntArray, criterion: Criterion, age_bin: float) -> list[IntArray]:
    """Groups of `chosen` owners (positions) who may be each other's impostors, each of two owners or more.

    `owners` holds a column for each trait that the criterion names. Whoever lacks one of them is in no group.
    """
    shared = list(criterion.shared)
    if not shared:
        return [chosen] if len(chosen) > 1 else []
    table = owners.iloc[chosen]
    table = pd.DataFrame({trait: trait_in_bins(table, trait, age_bin) for trait in shared}).assign(position=chosen)
    groups = table.dropna(subset=shared).groupby(shared, sort=True)["position"]
    return [group.to_numpy(dtype=np.int64) for _, group in groups if len(group) > 1]


def impostor_pairs(left: Pool, right: Pool, groups: list[IntArray], total: int, rng: np.random.Generator) -> Pairs:
    """Up to `total` different pairs within the groups, in rounds over the owners on the left.

    So any head of them is balanced. With `left is right` a pair is unordered.
    """
    groups = [rng.permutation(group) for group in groups]
    wanted = 2 * total if left is right else total  # of two orders of a pair one is dropped below
    capacities = [np.empty(0, np.int64), *(_impostor_capacities(left, right, group) for group in groups)]
    ends = np.cumsum([len(group) for group in groups])[:-1]
    quotas = np.split(equal_quotas(np.concatenate(capacities), wanted), ends)
    parts = [_within_group(left, right, group, quota, rng) for group, quota in zip(groups, quotas, strict=False)]
    if not parts:
        return Pairs(*(np.empty(0, np.int64) for _ in range(4)))
    rounds = np.concatenate([part[0] for part in parts])
    order = np.argsort(rounds, kind="stable")
    pairs = Pairs(*(np.concatenate([part[column] for part in parts])[order] for column in (1, 2, 3, 4)))
    if left is right:
        both = np.stack([np.minimum(pairs.left_row, pairs.right_row), np.maximum(pairs.left_row, pairs.right_row)])
        _, first = np.unique(both, axis=1, return_index=True)
        pairs = pairs.take(np.sort(first))
    return pairs.take(slice(0, total))


def _impostor_capacities(left: Pool, right: Pool, group: IntArray) -> IntArray:
    """Trials that each owner of a group can give at most before one of their row pairs would come twice."""
    return np.asarray((len(group) - 1) * left.counts[group] * right.counts[group].min(), dtype=np.int64)


def _within_group(
    left: Pool, right: Pool, group: IntArray, quota: IntArray, rng: np.random.Generator
) -> tuple[IntArray, ...]:
    """Rounds and pairs of one group: in each round the right owner is the left one's neighbour at one random distance.

    So everybody is on the right as often as on the left. Two owners meet every `others` rounds, for the `visit`-th
    time with rows that step through all their combinations before one comes again.
    """
    size = len(group)
    others = size - 1
    distances = 1 + rng.permutation(others)
    p = np.repeat(np.arange(size), quota)
    rounds = np.concatenate([np.arange(count) for count in quota])
    visit, k = rounds // others, rounds % others
    left_owner, right_owner = group[p], group[(p + distances[k]) % size]
    a, b = left.counts[left_owner], right.counts[right_owner]
    period = a // np.gcd(a, others)  # visits until the left row comes again
    i = (k + visit * others + visit // (period * b)) % a
    j = (k + visit + visit // np.lcm(period, b)) % b
    return (
        rounds,
        left.rows[left.starts[left_owner] + i],
        right.rows[right.starts[right_owner] + j],
        left_owner,
        right_owner,
    )


def training_pairs(corpus: Corpus, training: Flags, held_out: Flags, settings: ProtocolSettings) -> pd.DataFrame:
    """A face and a voice of one training person each, as row i of the official feature files is.

    Up to `pairs_per_identity` different pairs of each training person (P,), of recordings (clips,) not held out.
    """
    people = np.flatnonzero(training)
    rng = named_rng(settings.seed, "training pairs")
    faces, voices = (
        pool(rows.person, rows.clip, training[rows.person] & ~held_out[rows.clip], len(corpus.people), rng)
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
    labels = {"class_index": np.repeat(classes[people], lengths)}
    languages = {"language": corpus.languages(table["face_row"], table["voice_row"])}
    return shaped("train_pairs", pd.DataFrame({**table, **labels, **languages}))
