"""What was left out, as the page shows it."""

import pandas as pd

from pipeline.protocol.tables import shaped
from pipeline.report.corpus_tables import coverage_table
from pipeline.report.grid import to_csv
from pipeline.report.markup import grid_table


def test_impostors_who_contradict_their_list_are_shown_and_unknown_is_not_nought() -> None:
    table = pd.DataFrame({"list": ["random", "G", "N"], "rows": 8, "used": 6, "missing_items": 1, "reason": "why"})
    grid = coverage_table(shaped("coverage", table.assign(mismatched=pd.array([None, 263, 0], dtype="Int64"))))
    lines = [line.split(",") for line in to_csv(grid).splitlines()]
    assert lines[0] == ["list", "rows", "used", "missing_items", "mismatched", "remark"]
    assert [line[4] for line in lines[1:]] == ["", "263", "0"]
    assert "<td>\N{EN DASH}</td>" in grid_table(grid)
