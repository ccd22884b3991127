"""Tables of what was left out: items that no stage could use, and trials whose media are missing."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from pipeline.errors import StoreError
from pipeline.report.grid import Grid

_SHOWN = 100  # rows of a long table on the page


def skipped_table(files: Sequence[Path]) -> Grid:
    """Items that stages skipped, with their reasons; files that are absent belong to stages that did not run."""
    tables = [_read(path) for path in files if path.exists()]
    table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=["item", "stage", "reason"])
    table = table.drop_duplicates().sort_values(["stage", "item"], kind="stable")
    rows = tuple(
        tuple(str(value) for value in row) for row in table[["item", "stage", "reason"]].itertuples(index=False)
    )
    notes = ("Media that could not be used; everything else was.",) if rows else ("Every item could be used.",)
    return Grid("skipped", "Skipped items", notes, ("Item", "Stage", "Reason"), rows, shown=_SHOWN)


def coverage_table(table: pd.DataFrame) -> Grid:
    """Each list of the protocol: how many rows it has, how many could be used, and what was missing."""
    columns = ["list", "rows", "used", "missing_items", "mismatched", "reason"]
    cells = table[columns].astype("object").itertuples(index=False)
    rows = tuple(tuple(None if pd.isna(value) else str(value) for value in row) for row in cells)
    notes = (
        "Rows: asked for, or in the released list. Used: those whose media are there. Mismatched: impostors who, by "
        "this corpus's metadata, differ in the gender, nationality or age that the list says they share with the "
        "person; a dash where the list asks for nothing, or nothing is known.",
    )
    header = ("List", "Rows", "Used", "Missing items", "Mismatched", "Remark")
    return Grid("coverage", "Lists of the protocol", notes, header, rows, folded=True)


def _read(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path, keep_default_na=False, dtype=str)
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} cannot be read ({error}); run `dvc repro` again") from error
