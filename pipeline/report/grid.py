"""A table as the report holds it, before it becomes HTML or CSV."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.report.runs import Measured

Value = str | int | float | Measured | None


@dataclass(frozen=True)
class Grid:
    """Rows of values under a header; a measured figure is one cell of the page and four columns of the CSV."""

    name: str  # of its CSV
    title: str
    notes: tuple[str, ...]
    header: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]
    folded: bool = field(default=False)  # long: the page shows it on demand
    shown: int | None = field(default=None)  # rows on the page, all where None; the CSV holds every one
    marks: Mapping[str, str] = field(default_factory=dict)  # first cell of a row -> what the page puts behind it
    chosen_on: Mapping[str, str] = field(default_factory=dict)  # first cell of a row -> last cell in the CSV


def to_csv(grid: Grid) -> str:
    """The grid as CSV text; measured columns become <name>, <name>_low, <name>_high, <name>_std.

    What the page marks a CSV says in a column: `chosen_on`, where the grid has it.
    """
    measured = [any(isinstance(row[column], Measured) for row in grid.rows) for column in range(len(grid.header))]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    last = ["chosen_on"] if grid.chosen_on else []
    names = [name for title, wide in zip(grid.header, measured, strict=True) for name in _columns(title, wide)]
    writer.writerow([*names, *last])
    for row in grid.rows:
        parts = [part for value, wide in zip(row, measured, strict=True) for part in _parts(value, wide)]
        writer.writerow([*parts, *(grid.chosen_on[str(row[0])] for _ in last)])
    return text.getvalue()


def _columns(title: str, measured: bool) -> list[str]:
    name = title.lower().replace(" ", "_").replace(",", "")
    return [name, f"{name}_low", f"{name}_high", f"{name}_std"] if measured else [name]


def _parts(value: Value, measured: bool) -> list[object]:
    if isinstance(value, Measured):
        return ["" if part is None else part for part in (value.value, value.low, value.high, value.std)]
    return ["" if value is None else value, *[""] * (3 * measured)]
