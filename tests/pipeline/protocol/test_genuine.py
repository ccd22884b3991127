"""Genuine pairs, against listing every pair there is."""

from itertools import combinations, product

import numpy as np
import pytest

from pipeline.protocol.corpus import Rows
from pipeline.protocol.genuine import ClipRule, genuine_pairs
from pipeline.protocol.pools import Pool, pool


def random_pool(chance: np.random.Generator, people: int) -> Pool:
    person = chance.integers(0, people, chance.integers(1, 25))
    clip = person * 3 + chance.integers(0, chance.integers(1, 4), len(person))
    return pool(Rows(person, clip), np.ones(len(person), dtype=bool), people, chance)


def every_pair(left: Pool, right: Pool, person: int, rule: ClipRule) -> set[tuple[int, int]]:
    a, b = left.of(person), right.of(person)
    one = list(zip(left.rows[a], left.clips[a], strict=True))
    two = list(zip(right.rows[b], right.clips[b], strict=True))
    pairs = list(combinations(one, 2)) if left is right else list(product(one, two))
    other = [pair for pair in pairs if pair[0][1] != pair[1][1]]
    allowed = other if rule == "other" or (rule == "rather_other" and other) else pairs
    return {canonical(int(x[0]), int(y[0]), left is right) for x, y in allowed}


def canonical(left: int, right: int, unordered: bool) -> tuple[int, int]:
    return (min(left, right), max(left, right)) if unordered else (left, right)


@pytest.mark.parametrize("rule", ["any", "other", "rather_other"])
@pytest.mark.parametrize("unimodal", [False, True])
@pytest.mark.parametrize("seed", range(12))
def test_all_pairs_that_the_rule_allows_and_no_others_can_be_drawn(rule: ClipRule, unimodal: bool, seed: int) -> None:
    chance = np.random.default_rng(seed)
    left = random_pool(chance, 4)
    right = left if unimodal else random_pool(chance, 4)
    drawn = genuine_pairs(left, right, np.arange(4), 10_000, rule)
    found = [canonical(int(a), int(b), unimodal) for a, b in zip(drawn.left_row, drawn.right_row, strict=True)]
    assert len(found) == len(set(found))
    assert set(found) == set().union(*(every_pair(left, right, person, rule) for person in range(4)))


@pytest.mark.parametrize("total", [0, 1, 7, 40, 200])
def test_people_and_rows_are_used_evenly(total: int) -> None:
    person = np.repeat(np.arange(5), 8)
    rows = Rows(person, person * 4 + np.tile(np.arange(4), 10))
    chance = np.random.default_rng(0)
    left, right = (pool(rows, np.ones(40, dtype=bool), 5, chance) for _ in range(2))
    drawn = genuine_pairs(left, right, np.arange(5), total, "other")
    assert len(drawn) == min(total, 5 * 8 * 6)
    for counts, slack in ((drawn.left_person, 1), (drawn.left_row, 2), (drawn.right_row, 3)):
        used = np.bincount(counts, minlength=5 if counts is drawn.left_person else 40)
        assert used.max() - used.min() <= slack


def test_people_with_few_pairs_do_not_hold_the_others_back() -> None:
    person = np.array([0, 0, 1, 1, 1, 1])
    rows = Rows(person, np.arange(6))
    both = pool(rows, np.ones(6, dtype=bool), 2, np.random.default_rng(0))
    drawn = genuine_pairs(both, both, np.arange(2), 5, "other")
    assert np.bincount(drawn.left_person).tolist() == [1, 4]
