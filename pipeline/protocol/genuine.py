"""Pairs of rows of one person, all different, using people and rows as evenly as there are enough of them."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipeline.protocol.corpus import Codes
from pipeline.protocol.pools import Pool, level

# any: training pairs. other: of two recordings. rather_other: of two, or of one for people who have only one.
ClipRule = Literal["any", "other", "rather_other"]


@dataclass(frozen=True)
class Pairs:
    """Row pairs (n,) and the people they show."""

    left_row: Codes
    right_row: Codes
    left_person: Codes
    right_person: Codes

    def __len__(self) -> int:
        return len(self.left_row)

    def take(self, chosen: Codes | slice) -> "Pairs":
        """Some of the pairs, in the order given."""
        return Pairs(self.left_row[chosen], self.right_row[chosen], self.left_person[chosen], self.right_person[chosen])


def genuine_pairs(left: Pool, right: Pool, people: Codes, total: int, rule: ClipRule) -> Pairs:
    """Up to `total` pairs of `people` (positions), one person after the other in rounds, so that any head is balanced.

    With `left is right` a pair is unordered and never a row with itself.
    """
    capacities = np.array([_capacity(left, right, person, rule) for person in people], dtype=np.int64)
    quotas = level(capacities, total)
    drawn = [_draw(left, right, person, int(quota), rule) for person, quota in zip(people, quotas, strict=True)]
    i, j = (np.concatenate([np.empty(0, np.int64), *(pair[side] for pair in drawn)]) for side in (0, 1))
    person = np.repeat(people, quotas)
    rounds = np.concatenate([np.empty(0, np.int64), *(np.arange(quota) for quota in quotas)])
    order = np.argsort(rounds, kind="stable")[:total]
    return Pairs(left.rows[i], right.rows[j], person, person).take(order)


def _capacity(left: Pool, right: Pool, person: int, rule: ClipRule) -> int:
    """How many different pairs the rule allows."""
    a, b = int(left.counts[person]), int(right.counts[person])
    every = a * (a - 1) // 2 if left is right else a * b
    if rule == "any":
        return every
    other = _pairs_of_two_clips(left, right, person)
    return every if rule == "rather_other" and not other else other


def _pairs_of_two_clips(left: Pool, right: Pool, person: int) -> int:
    left_clips, left_counts = np.unique(left.clips[left.of(person)], return_counts=True)
    right_clips, right_counts = np.unique(right.clips[right.of(person)], return_counts=True)
    _, at_left, at_right = np.intersect1d(left_clips, right_clips, assume_unique=True, return_indices=True)
    within = int(left_counts[at_left] @ right_counts[at_right])
    other = int(left_counts.sum() * right_counts.sum()) - within
    return other // 2 if left is right else other


def _draw(left: Pool, right: Pool, person: int, quota: int, rule: ClipRule) -> tuple[Codes, Codes]:
    """`quota` pairs as positions in the pools, diagonal by diagonal: each diagonal uses every left row once."""
    a, b = int(left.counts[person]), int(right.counts[person])
    if not quota:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    if rule == "rather_other" and not _pairs_of_two_clips(left, right, person):
        rule = "any"
    diagonals, most = -(-quota // a), a // 2 if left is right else b
    while True:
        diagonals = min(diagonals, most)
        i, j = _half_diagonals(a, diagonals) if left is right else _diagonals(a, b, diagonals)
        i, j = i + left.starts[person], j + right.starts[person]
        if rule != "any":
            other = left.clips[i] != right.clips[j]
            i, j = i[other], j[other]
        if len(i) >= quota or diagonals == most:
            return i[:quota], j[:quota]
        diagonals *= 2


def _diagonals(a: int, b: int, count: int) -> tuple[Codes, Codes]:
    i = np.tile(np.arange(a), count)
    return i, (i + np.repeat(np.arange(count), a)) % b


def _half_diagonals(a: int, count: int) -> tuple[Codes, Codes]:
    """Unordered pairs of a rows: (i, i + d) for d = 1, 2, ...; half a turn would give every pair twice."""
    i, distance = np.tile(np.arange(a), count), np.repeat(np.arange(1, count + 1), a)
    once = (2 * distance != a) | (i < distance)
    return i[once], ((i + distance) % a)[once]
