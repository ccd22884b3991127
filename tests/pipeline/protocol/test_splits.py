"""Splits by identity: disjoint, proportional, decided by names."""

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import ProtocolError
from pipeline.protocol.splits import allocate, assign_splits
from tests.pipeline.protocol.corpora import settings


def people(count: int, modalities: str = "both", gender: bool = True) -> pd.DataFrame:
    names = [f"p{number}" for number in range(count)]
    genders = ["f" if number % 4 == 0 else "m" for number in range(count)] if gender else [None] * count
    return pd.DataFrame({"identity": names, "gender": genders, "modalities": modalities})


def test_sizes_follow_the_ratios() -> None:
    split = assign_splits(people(200), settings(validation_ratio=0.1, test_ratio=0.25))
    assert {name: int((split == name).sum()) for name in set(split)} == {"test": 50, "validation": 20, "train": 130}


def test_every_split_holds_women_in_proportion() -> None:
    table = people(160)
    split = assign_splits(table, settings(validation_ratio=0.1, test_ratio=0.25))
    women = (table["gender"] == "f").groupby(split).sum()
    assert women.to_dict() == {"test": 10, "train": 26, "validation": 4}  # a quarter of 40, 104, 16


def test_the_order_of_the_table_does_not_matter() -> None:
    table = people(60)
    shuffled = table.sample(frac=1.0, random_state=1)
    one = dict(zip(table["identity"], assign_splits(table, settings()), strict=True))
    two = dict(zip(shuffled["identity"], assign_splits(shuffled, settings()), strict=True))
    assert one == two


def test_another_seed_splits_otherwise() -> None:
    table = people(60)
    assert (assign_splits(table, settings(seed=1)) != assign_splits(table, settings(seed=2))).any()


@pytest.mark.parametrize("count", [40, 41, 42, 43, 44, 60, 99])
def test_one_more_identity_moves_hardly_any_other(count: int) -> None:
    before, after = assign_splits(people(count), settings()), assign_splits(people(count + 1), settings())
    assert int((before != after[:count]).sum()) <= 4


def test_unknown_gender_is_a_stratum_of_its_own() -> None:
    split = assign_splits(people(40, gender=False), settings(validation_ratio=0.1, test_ratio=0.25))
    assert int((split == "test").sum()) == 10


def test_a_small_corpus_still_gets_two_people_in_every_split() -> None:
    split = assign_splits(people(6), settings(validation_ratio=0.12, test_ratio=0.25))
    assert sorted(split) == ["test", "test", "train", "train", "validation", "validation"]


def test_too_few_people_are_refused_with_the_remedy() -> None:
    with pytest.raises(ProtocolError, match=r"5 identities have both a face and a voice.*add identities"):
        assign_splits(people(5), settings())


def test_people_with_one_modality_are_split_among_themselves() -> None:
    table = pd.concat(
        [people(20), people(20, "voice").assign(identity=lambda t: "v" + t["identity"])], ignore_index=True
    )
    split = assign_splits(table, settings(validation_ratio=0.1, test_ratio=0.25))
    assert [int((split[part] == "test").sum()) for part in (slice(0, 20), slice(20, 40))] == [5, 5]
    alone = assign_splits(people(20), settings(validation_ratio=0.1, test_ratio=0.25))
    assert (split[:20] == alone).all()


@pytest.mark.parametrize("seed", range(30))
def test_shares_add_up_and_are_within_one_of_exact(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 30, rng.integers(1, 6)).tolist()
    total = int(rng.integers(0, sum(sizes) + 1))
    shares = allocate(total, sizes)
    assert sum(shares) == total
    assert all(
        abs(share - total * size / sum(sizes)) < 1 and share <= size for share, size in zip(shares, sizes, strict=True)
    )
