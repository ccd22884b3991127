"""Pairs of rows of two people who share what the criterion asks for, balanced over people on both sides."""

import numpy as np
import pandas as pd

from pipeline.protocol.corpus import Codes
from pipeline.protocol.genuine import Pairs
from pipeline.protocol.pools import Pool, level
from pipeline.protocol.vocabulary import Criterion


def alike(people: pd.DataFrame, chosen: Codes, criterion: Criterion, age_bin: float) -> list[Codes]:
    """Groups of `chosen` people (positions) who may stand as each other's impostors, each of two people or more.

    Someone of whom the criterion's metadata is unknown is in no group.
    """
    shared = list(criterion.shared)
    if not shared:
        return [chosen] if len(chosen) > 1 else []
    table = people.iloc[chosen].assign(age=people["age"].iloc[chosen] // age_bin, position=chosen)
    groups = table.dropna(subset=shared).groupby(shared, sort=True)["position"]
    return [group.to_numpy(dtype=np.int64) for _, group in groups if len(group) > 1]


def impostor_pairs(left: Pool, right: Pool, groups: list[Codes], total: int, chance: np.random.Generator) -> Pairs:
    """Up to `total` different pairs within the groups, in rounds over the people on the left.

    So any head of them is balanced. With `left is right` a pair is unordered.
    """
    groups = [chance.permutation(group) for group in groups]
    wanted = 2 * total if left is right else total  # of two orders of a pair one is dropped below
    quotas = np.split(
        level(np.concatenate([np.empty(0, np.int64), *(_capacities(left, right, group) for group in groups)]), wanted),
        np.cumsum([len(group) for group in groups])[:-1],
    )
    parts = [_within(left, right, group, quota, chance) for group, quota in zip(groups, quotas, strict=False)]
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


def _capacities(left: Pool, right: Pool, group: Codes) -> Codes:
    """Trials that each person of a group can give at most before one of their row pairs would come twice."""
    return np.asarray((len(group) - 1) * left.counts[group] * right.counts[group].min(), dtype=np.int64)


def _within(left: Pool, right: Pool, group: Codes, quota: Codes, chance: np.random.Generator) -> tuple[Codes, ...]:
    """Rounds and pairs of one group: in each round the right person is the left one's neighbour at one random distance.

    So everybody stands on the right as often as on the left. A pair of people meets every `turn` rounds, for the
    `visit`-th time with rows that step through all their combinations before one comes again.
    """
    size = len(group)
    turn = size - 1
    distances = 1 + chance.permutation(turn)
    p = np.repeat(np.arange(size), quota)
    rounds = np.concatenate([np.arange(count) for count in quota])
    visit, k = rounds // turn, rounds % turn
    here, there = group[p], group[(p + distances[k]) % size]
    a, b = left.counts[here], right.counts[there]
    period = a // np.gcd(a, turn)  # visits until the left row comes again
    i = (k + visit * turn + visit // (period * b)) % a
    j = (k + visit + visit // np.lcm(period, b)) % b
    return rounds, left.rows[left.starts[here] + i], right.rows[right.starts[there] + j], here, there
