"""Impostor pairs: of two people who share what they must, different, and balanced on both sides."""

import numpy as np
import pandas as pd
import pytest

from pipeline.protocol.corpus import Rows
from pipeline.protocol.impostors import alike, impostor_pairs
from pipeline.protocol.pools import Pool, pool
from pipeline.protocol.vocabulary import CRITERIA


def even_pool(people: int, rows: int, seed: int = 0) -> Pool:
    person = np.repeat(np.arange(people), rows)
    return pool(Rows(person, person), np.ones(len(person), dtype=bool), people, np.random.default_rng(seed))


@pytest.mark.parametrize(("people", "a", "b"), [(2, 3, 4), (3, 2, 2), (4, 6, 4), (5, 4, 6), (7, 3, 9), (4, 1, 1)])
def test_every_combination_comes_before_any_comes_twice(people: int, a: int, b: int) -> None:
    left, right = even_pool(people, a), even_pool(people, b, 1)
    drawn = impostor_pairs(left, right, [np.arange(people)], 10**6, np.random.default_rng(3))
    pairs = set(zip(drawn.left_row.tolist(), drawn.right_row.tolist(), strict=True))
    assert len(pairs) == len(drawn) == people * (people - 1) * a * b
    assert (drawn.left_row // a == drawn.left_person).all() and (drawn.right_row // b == drawn.right_person).all()
    assert (drawn.left_person != drawn.right_person).all()


@pytest.mark.parametrize("people", [2, 3, 4, 5, 6])
def test_unimodal_pairs_are_unordered_and_all_found(people: int) -> None:
    both = even_pool(people, 3)
    drawn = impostor_pairs(both, both, [np.arange(people)], 10**6, np.random.default_rng(3))
    pairs = {frozenset(pair) for pair in zip(drawn.left_row.tolist(), drawn.right_row.tolist(), strict=True)}
    assert len(pairs) == len(drawn) == people * (people - 1) // 2 * 9


def test_any_head_uses_people_and_rows_evenly_on_both_sides() -> None:
    left, right = even_pool(10, 4), even_pool(10, 7, 1)
    drawn = impostor_pairs(left, right, [np.arange(10)], 300, np.random.default_rng(3))
    for used in (drawn.left_person, drawn.right_person):
        assert set(np.bincount(used, minlength=10)) == {30}
    assert np.ptp(np.bincount(drawn.left_row, minlength=40)) <= 1
    assert np.ptp(np.bincount(drawn.right_row, minlength=70)) <= 3


def test_pairs_stay_within_their_group() -> None:
    left, right = even_pool(9, 4), even_pool(9, 4, 1)
    groups = [np.array([0, 3]), np.array([1, 2, 5, 8])]
    drawn = impostor_pairs(left, right, groups, 100, np.random.default_rng(3))
    member = {person: number for number, group in enumerate(groups) for person in group}
    for a, b in zip(drawn.left_person, drawn.right_person, strict=True):
        assert member[a] == member[b] and a != b


def test_no_group_gives_no_pairs() -> None:
    both = even_pool(3, 2)
    assert len(impostor_pairs(both, both, [], 10, np.random.default_rng(0))) == 0


@pytest.mark.parametrize("criterion", CRITERIA)
def test_groups_share_what_the_criterion_names(criterion: str) -> None:
    chance = np.random.default_rng(0)
    people = pd.DataFrame(
        {
            "gender": pd.Series(chance.choice(["f", "m", None], 40), dtype="string"),
            "nationality": pd.Series(chance.choice(["GR", "IN", "PE", None], 40), dtype="string"),
            "age": pd.array(chance.choice([None, 19.9, 20.0, 29.5, 30.0], 40), dtype="Float64"),
        }
    )
    chosen = np.arange(3, 40)

    def same(one: int, two: int) -> bool:
        a, b = people.iloc[one], people.iloc[two]
        tests = {
            "G": lambda: a["gender"] == b["gender"],
            "N": lambda: a["nationality"] == b["nationality"],
            "A": lambda: a["age"] // 10 == b["age"] // 10,
        }
        needed = {"random": [], "GNA": ["G", "N", "A"]}.get(criterion, [criterion])
        column = {"G": "gender", "N": "nationality", "A": "age"}
        known = all(pd.notna(who[column[letter]]) for letter in needed for who in (a, b))
        return known and all(tests[letter]() for letter in needed)

    groups = alike(people, chosen, CRITERIA[criterion], 10.0)
    together = {frozenset((int(a), int(b))) for group in groups for a in group for b in group if a != b}
    assert together == {frozenset((int(a), int(b))) for a in chosen for b in chosen if a != b and same(a, b)}
