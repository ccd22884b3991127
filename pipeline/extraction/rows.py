"""Rows of large tables, one by one, and those of one item in a table that is sorted by item, as stores are.

A slice an item instead of a group an item: pandas takes a millisecond to make a group, and a corpus has 150,000 items.
"""

from collections import namedtuple
from collections.abc import Collection, Iterable, Iterator
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    import pandas as pd  # decode workers import this file

PartT = TypeVar("PartT")

_PART = 2048  # rows


def batched(things: Iterable[PartT], size: int) -> Iterator[list[PartT]]:
    """Lists of `size` things, the last one shorter; as itertools.batched, which Python 3.11 lacks."""
    left = iter(things)
    while batch := list(islice(left, size)):
        yield batch


def rows_in(table: "pd.DataFrame") -> Iterator[Any]:
    """The rows as `itertuples(index=False)` gives them, at a third of its time: a column's text is read in parts."""
    row = namedtuple("Row", list(table.columns))  # type: ignore[misc]
    for start in range(0, len(table), _PART):
        part = table.iloc[start : start + _PART]
        yield from map(row._make, zip(*(part[column].to_numpy(object) for column in part), strict=True))


def rows_by_item(table: "pd.DataFrame") -> dict[str, slice]:
    """Slice of each item's rows, by item; `table` has the column `item`, and an item's rows are beside each other."""
    items = table["item"].to_numpy(object)
    changes = np.flatnonzero(items[1:] != items[:-1]) + 1
    edges = [0, *(int(at) for at in changes), len(items)] if len(items) else []
    return {str(items[start]): slice(start, end) for start, end in pairwise(edges)}


def rows_by_key(table: "pd.DataFrame", keys: Collection[str]) -> dict[str, slice]:
    """Slice of the rows that hold a key's result, by key, for those of `keys` that the table has.

    Two items of the same bytes have the same key: the rows of one of them are the result, both together are not.
    """
    of_row, wanted = table["key"].to_numpy(object), set(keys)
    found: dict[str, slice] = {}
    for rows in rows_by_item(table).values():
        if (key := str(of_row[rows.start])) in wanted:
            found.setdefault(key, rows)
    return found
