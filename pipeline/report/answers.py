"""Which run of ours answers which cell of the paper, for every recipe that was run."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.report.cells import Cell, run_of
from pipeline.report.paper_tables import PaperTable
from pipeline.report.runs import Measured, Run

_COLUMNS = ("row", "column", "measure", "paper", "recipe", "run", "ours", "low", "high", "std", "seeds", "chosen_on")


@dataclass(frozen=True)
class Answer:
    """One cell under one recipe; `run` is None where it was not run."""

    cell: Cell
    recipe: str
    run: Run | None

    @property
    def figures(self) -> dict[str, Measured | None]:
        """Ours, by measure."""
        return self.cell.ours(self.run)


def answers(table: PaperTable, runs: Sequence[Run], recipes: Sequence[str]) -> list[Answer]:
    """Every cell of a table under the first recipe, and under each other one that filled a cell of it."""
    found = {recipe: _under(recipe, table, runs) for recipe in recipes}
    kept = [recipe for recipe in recipes if recipe == recipes[0] or any(answer.run for answer in found[recipe])]
    return [answer for recipe in kept for answer in found[recipe]]


def _under(recipe: str, table: PaperTable, runs: Sequence[Run]) -> list[Answer]:
    return [Answer(cell, recipe, run_of(cell.wanted, runs, recipe)) for cell in table.cells]


def answers_csv(found: Sequence[Answer]) -> str:
    """One line a cell, measure and recipe; what was not run says so in the column of the run."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows(line for answer in found for line in _lines(answer))
    return text.getvalue()


def _lines(answer: Answer) -> Iterator[list[object]]:
    cell, run = answer.cell, answer.run
    for measure, figure in answer.figures.items():
        paper = cell.paper[measure]
        who = run.name if run else "not ours to run" if cell.wanted is None else "not run"
        ours = [None] * 4 if figure is None else [figure.value, figure.low, figure.high, figure.std]
        how = [len(run.settings.seeds), run.settings.selection] if run else [None, None]
        line = [cell.row, cell.column, measure, paper, answer.recipe, who, *ours, *how]
        yield ["" if part is None else part for part in line]
