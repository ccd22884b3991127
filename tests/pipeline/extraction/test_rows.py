"""Slices of a sorted table, against a naive walk."""

import numpy as np
import pandas as pd
import pytest

from pipeline.extraction.rows import rows_by_item, rows_by_key, rows_in


def table(items: list[str], keys: list[str]) -> pd.DataFrame:
    return pd.DataFrame({"item": pd.Series(items, dtype="str"), "key": pd.Series(keys, dtype="str")})


@pytest.mark.parametrize("seed", range(5))
def test_slices_are_the_rows_of_each_item(seed: int) -> None:
    drawn = np.random.default_rng(seed)
    items = sorted(f"clip{number}" for number in drawn.integers(0, 12, 30))
    found = rows_by_item(table(items, items))
    assert list(found) == sorted(set(items))
    for item, rows in found.items():
        assert [row for row, name in enumerate(items) if name == item] == list(range(rows.start, rows.stop))


@pytest.mark.parametrize("size", [0, 1, 2048, 2049])
def test_rows_are_those_of_itertuples(size: int) -> None:
    number = pd.Series(np.arange(size), dtype="Int64").mask(pd.Series(np.arange(size) % 3 == 0, dtype=bool))
    whole = table([str(row) for row in range(size)], ["k"] * size).assign(size=number)
    found, expected = list(rows_in(whole)), list(whole.itertuples(index=False))
    assert [row.item for row in found] == [row.item for row in expected]
    assert [None if row.size is pd.NA else row.size for row in found] == [
        None if row.size is pd.NA else row.size for row in expected
    ]


def test_empty_table_has_no_slices() -> None:
    assert rows_by_item(table([], [])) == {} and rows_by_key(table([], []), ["k"]) == {}


def test_keys_that_are_not_wanted_or_not_there_have_no_slice() -> None:
    found = rows_by_key(table(["a", "a", "b", "c"], ["1", "1", "2", "3"]), {"1", "3", "4"})
    assert found == {"1": slice(0, 2), "3": slice(3, 4)}


def test_of_two_items_with_one_key_the_first_gives_its_rows() -> None:
    assert rows_by_key(table(["a", "a", "b", "b"], ["k"] * 4), ["k"]) == {"k": slice(0, 2)}
