"""Tables of the report before they become HTML or CSV, and those of what was left out: items and trials."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from pipeline.errors import RunError
from pipeline.report.runs import Measured

Value = str | int | float | Measured | None
_SHOWN = 100  # rows of a long table on the page


@dataclass(frozen=True)
class ReportTable:
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


def to_csv(table: ReportTable) -> str:
    """The table as CSV text; measured columns become <name>, <name>_low, <name>_high, <name>_std.

    What the page marks a CSV says in a column: `chosen_on`, where the table has it.
    """
    measured = [any(isinstance(row[column], Measured) for row in table.rows) for column in range(len(table.header))]
    names = [name for title, wide in zip(table.header, measured, strict=True) for name in _columns(title, wide)]
    rows = [
        [part for value, wide in zip(row, measured, strict=True) for part in _parts(value, wide)] for row in table.rows
    ]
    if table.chosen_on:
        names = [*names, "chosen_on"]
        rows = [[*parts, table.chosen_on.get(str(row[0]), "")] for parts, row in zip(rows, table.rows, strict=True)]
    return csv_text(rows, names)


def csv_text(rows: Sequence[Sequence[object]], columns: Sequence[str]) -> str:
    """CSV of rows as they are, None as an empty field: no column becomes float because a row of it is empty."""
    return str(pd.DataFrame(rows, columns=list(columns), dtype=object).to_csv(index=False, lineterminator="\n"))


def _columns(title: str, measured: bool) -> list[str]:
    name = title.lower().replace(" ", "_").replace(",", "")
    return [name, f"{name}_low", f"{name}_high", f"{name}_std"] if measured else [name]


def _parts(value: Value, measured: bool) -> list[object]:
    if isinstance(value, Measured):
        return [value.value, value.low, value.high, value.std]
    return [value, *[None] * (3 * measured)]


def skipped_table(files: Sequence[Path]) -> ReportTable:
    """Items that stages skipped, with their reasons; files that are absent belong to stages that did not run."""
    tables = [_read(path) for path in files if path.exists()]
    table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=["item", "stage", "reason"])
    table = table.drop_duplicates().sort_values(["stage", "item"], kind="stable")
    rows = tuple(
        tuple(str(value) for value in row) for row in table[["item", "stage", "reason"]].itertuples(index=False)
    )
    notes = ("Media that could not be used; everything else was.",) if rows else ("Every item could be used.",)
    return ReportTable("skipped", "Skipped items", notes, ("Item", "Stage", "Reason"), rows, shown=_SHOWN)


def coverage_table(table: pd.DataFrame) -> ReportTable:
    """Each list of the protocol: how many rows it has, how many could be used, and what was missing."""
    columns = ["list", "rows", "used", "missing_items", "mismatched", "reason"]
    cells = table[columns].astype("object").itertuples(index=False)
    rows = tuple(tuple(None if pd.isna(value) else str(value) for value in row) for row in cells)
    notes = (
        "Rows: asked for, or in the released list. Used: those whose media are there. Mismatched: impostors who, by "
        "this corpus's metadata, differ in the gender, nationality, age or language that the list says they share with "
        "the person; a dash where the list asks for nothing, or nothing is known.",
    )
    header = ("List", "Rows", "Used", "Missing items", "Mismatched", "Remark")
    return ReportTable("coverage", "Lists of the protocol", notes, header, rows, folded=True)


def _read(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path, keep_default_na=False, dtype=str)
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read ({error}); run `dvc repro` again") from error
