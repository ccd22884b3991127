"""CSV of a table: a measured figure becomes four columns, so that a spreadsheet needs no parsing."""

from pipeline.report.grid import Grid, to_csv
from pipeline.report.runs import Measured


def grid(*rows: tuple[str | int | float | Measured | None, ...]) -> Grid:
    return Grid("name", "Title", (), ("Run", "EER", "Remark"), rows)


def test_measured_columns_are_spread_and_gaps_stay_empty() -> None:
    text = to_csv(grid(("a", Measured(12.5, 10.0, 15.0, 0.5), 'says "no", twice'), ("b", None, None)))
    assert text.splitlines() == [
        "run,eer,eer_low,eer_high,eer_std,remark",
        'a,12.5,10.0,15.0,0.5,"says ""no"", twice"',
        "b,,,,,",
    ]


def test_figure_without_interval_or_deviation_leaves_their_columns_empty() -> None:
    assert to_csv(grid(("a", Measured(12.5, None, None, None), 1))).splitlines()[1] == "a,12.5,,,,1"


def test_table_without_figures_keeps_its_columns() -> None:
    assert to_csv(grid(("a", 1, 2))).splitlines() == ["run,eer,remark", "a,1,2"]
