"""Tables as CSV: a measured figure becomes four columns, so that a spreadsheet needs no parsing."""

import pandas as pd

from pipeline.protocol.tables import shaped
from pipeline.report.runs import Measured
from pipeline.report.tables import ReportTable, coverage_table, to_csv


def table(*rows: tuple[str | int | float | Measured | None, ...]) -> ReportTable:
    return ReportTable("name", "Title", (), ("Run", "EER", "Remark"), rows)


def test_measured_columns_are_spread_and_gaps_stay_empty() -> None:
    text = to_csv(table(("a", Measured(12.5, 10.0, 15.0, 0.5), 'says "no", twice'), ("b", None, None)))
    assert text.splitlines() == [
        "run,eer,eer_low,eer_high,eer_std,remark",
        'a,12.5,10.0,15.0,0.5,"says ""no"", twice"',
        "b,,,,,",
    ]


def test_figure_without_interval_or_deviation_leaves_their_columns_empty() -> None:
    assert to_csv(table(("a", Measured(12.5, None, None, None), 1))).splitlines()[1] == "a,12.5,,,,1"


def test_table_without_figures_keeps_its_columns() -> None:
    assert to_csv(table(("a", 1, 2))).splitlines() == ["run,eer,remark", "a,1,2"]


def test_whole_numbers_stay_whole_where_another_row_has_none() -> None:
    assert to_csv(table(("a", None, 3), ("b", None, None))).splitlines()[1:] == ["a,,3", "b,,"]


def test_impostors_who_contradict_their_list_are_counted_and_unknown_is_not_nought() -> None:
    lists = pd.DataFrame({"list": ["random", "G", "N"], "rows": 8, "used": 6, "missing_items": 1, "reason": "why"})
    coverage = coverage_table(shaped("coverage", lists.assign(mismatched=pd.array([None, 263, 0], dtype="Int64"))))
    lines = [line.split(",") for line in to_csv(coverage).splitlines()]
    assert lines[0] == ["list", "rows", "used", "missing_items", "mismatched", "remark"]
    assert [line[4] for line in lines[1:]] == ["", "263", "0"]
