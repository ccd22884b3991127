"""Pairs of rows: against listing every pair there is, and against giving one at a time."""

from itertools import combinations, product

import numpy as np
import pandas as pd
import pytest

from pipeline.protocol.pairs import (
    ClipRule,
    Pool,
    equal_quotas,
    genuine_pairs,
    impostor_pairs,
    matched_groups,
    pool,
)
from pipeline.protocol.vocabulary import CRITERIA


def one_at_a_time(capacities: list[int], total: int) -> list[int]:
    given = [0] * len(capacities)
    while sum(given) < total and given != capacities:  # a whole round at a time: nobody is favoured
        given = [min(now + 1, most) for now, most in zip(given, capacities, strict=True)]
    return given


@pytest.mark.parametrize("seed", range(40))
def test_everybody_gives_the_same_unless_they_have_less(seed: int) -> None:
    rng = np.random.default_rng(seed)
    capacities = rng.integers(0, 9, rng.integers(0, 12))
    total = int(rng.integers(0, 60))
    assert equal_quotas(capacities, total).tolist() == one_at_a_time(capacities.tolist(), total)


def random_pool(rng: np.random.Generator, people: int) -> Pool:
    person = rng.integers(0, people, rng.integers(1, 25))
    clip = person * 3 + rng.integers(0, rng.integers(1, 4), len(person))
    return pool(person, clip, np.ones(len(person), dtype=bool), people, rng)


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
def test_all_pairs_that_the_rule_allows_and_no_others_can_be_made(rule: ClipRule, unimodal: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    left = random_pool(rng, 4)
    right = left if unimodal else random_pool(rng, 4)
    made = genuine_pairs(left, right, np.arange(4), 10_000, rule)
    found = [canonical(int(a), int(b), unimodal) for a, b in zip(made.left_row, made.right_row, strict=True)]
    assert len(found) == len(set(found))
    assert set(found) == set().union(*(every_pair(left, right, person, rule) for person in range(4)))


@pytest.mark.parametrize("total", [0, 1, 7, 40, 200])
def test_people_and_rows_are_used_evenly(total: int) -> None:
    person = np.repeat(np.arange(5), 8)
    clip = person * 4 + np.tile(np.arange(4), 10)
    rng = np.random.default_rng(0)
    left, right = (pool(person, clip, np.ones(40, dtype=bool), 5, rng) for _ in range(2))
    made = genuine_pairs(left, right, np.arange(5), total, "other")
    assert len(made) == min(total, 5 * 8 * 6)
    for counts, slack in ((made.left_owner, 1), (made.left_row, 2), (made.right_row, 3)):
        used = np.bincount(counts, minlength=5 if counts is made.left_owner else 40)
        assert used.max() - used.min() <= slack


def test_people_with_few_pairs_do_not_hold_the_others_back() -> None:
    person = np.array([0, 0, 1, 1, 1, 1])
    both = pool(person, np.arange(6), np.ones(6, dtype=bool), 2, np.random.default_rng(0))
    made = genuine_pairs(both, both, np.arange(2), 5, "other")
    assert np.bincount(made.left_owner).tolist() == [1, 4]


def even_pool(people: int, rows: int, seed: int = 0) -> Pool:
    person = np.repeat(np.arange(people), rows)
    return pool(person, person, np.ones(len(person), dtype=bool), people, np.random.default_rng(seed))


@pytest.mark.parametrize(("people", "a", "b"), [(2, 3, 4), (3, 2, 2), (4, 6, 4), (5, 4, 6), (7, 3, 9), (4, 1, 1)])
def test_every_combination_comes_before_any_comes_twice(people: int, a: int, b: int) -> None:
    left, right = even_pool(people, a), even_pool(people, b, 1)
    made = impostor_pairs(left, right, [np.arange(people)], 10**6, np.random.default_rng(3))
    pairs = set(zip(made.left_row.tolist(), made.right_row.tolist(), strict=True))
    assert len(pairs) == len(made) == people * (people - 1) * a * b
    assert (made.left_row // a == made.left_owner).all() and (made.right_row // b == made.right_owner).all()
    assert (made.left_owner != made.right_owner).all()


@pytest.mark.parametrize("people", [2, 3, 4, 5, 6])
def test_unimodal_pairs_are_unordered_and_all_found(people: int) -> None:
    both = even_pool(people, 3)
    made = impostor_pairs(both, both, [np.arange(people)], 10**6, np.random.default_rng(3))
    pairs = {frozenset(pair) for pair in zip(made.left_row.tolist(), made.right_row.tolist(), strict=True)}
    assert len(pairs) == len(made) == people * (people - 1) // 2 * 9


def test_any_head_uses_people_and_rows_evenly_on_both_sides() -> None:
    left, right = even_pool(10, 4), even_pool(10, 7, 1)
    made = impostor_pairs(left, right, [np.arange(10)], 300, np.random.default_rng(3))
    for used in (made.left_owner, made.right_owner):
        assert set(np.bincount(used, minlength=10)) == {30}
    assert np.ptp(np.bincount(made.left_row, minlength=40)) <= 1
    assert np.ptp(np.bincount(made.right_row, minlength=70)) <= 3


def test_pairs_stay_within_their_group() -> None:
    left, right = even_pool(9, 4), even_pool(9, 4, 1)
    groups = [np.array([0, 3]), np.array([1, 2, 5, 8])]
    made = impostor_pairs(left, right, groups, 100, np.random.default_rng(3))
    member = {person: number for number, group in enumerate(groups) for person in group}
    for a, b in zip(made.left_owner, made.right_owner, strict=True):
        assert member[a] == member[b] and a != b


def test_no_group_gives_no_pairs() -> None:
    both = even_pool(3, 2)
    assert len(impostor_pairs(both, both, [], 10, np.random.default_rng(0))) == 0


@pytest.mark.parametrize("criterion", CRITERIA)
def test_groups_share_what_the_criterion_names(criterion: str) -> None:
    rng = np.random.default_rng(0)
    people = pd.DataFrame(
        {
            "gender": pd.Series(rng.choice(["f", "m", None], 40), dtype="string"),
            "nationality": pd.Series(rng.choice(["GR", "IN", "PE", None], 40), dtype="string"),
            "age": pd.array(rng.choice([None, 19.9, 20.0, 29.5, 30.0], 40), dtype="Float64"),
            "language": rng.integers(0, 3, 40),
        }
    )
    chosen = np.arange(3, 40)

    def same(one: int, two: int) -> bool:
        a, b = people.iloc[one], people.iloc[two]
        tests = {
            "G": lambda: a["gender"] == b["gender"],
            "N": lambda: a["nationality"] == b["nationality"],
            "A": lambda: a["age"] // 10 == b["age"] // 10,
            "L": lambda: a["language"] == b["language"],
        }
        needed = {"random": [], "GNA": ["G", "N", "A"]}.get(criterion, [criterion])
        column = {"G": "gender", "N": "nationality", "A": "age", "L": "language"}
        known = all(pd.notna(who[column[letter]]) for letter in needed for who in (a, b))
        return known and all(tests[letter]() for letter in needed)

    groups = matched_groups(people, chosen, CRITERIA[criterion], 10.0)
    together = {frozenset((int(a), int(b))) for group in groups for a in group for b in group if a != b}
    assert together == {frozenset((int(a), int(b))) for a in chosen for b in chosen if a != b and same(a, b)}
