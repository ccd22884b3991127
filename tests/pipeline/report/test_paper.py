"""The paper's figures are in their tables, whole and in their order."""

import pytest

from pipeline.report import paper
from pipeline.report.paper_tables import Cell, paper_tables


def cells(name: str) -> dict[tuple[str, str], Cell]:
    table = next(table for table in paper_tables() if table.name == name)
    return {(cell.row, cell.column): cell for cell in table.cells}


@pytest.mark.parametrize(
    ("name", "count"),
    [("table1", 12 + 4), ("table2", 30 + 5), ("table3", 2 * 19), ("table4", 15 + 3), ("table5", 4 + 1)],
)
def test_tables_have_all_their_cells(name: str, count: int) -> None:
    assert len(cells(name)) == count


@pytest.mark.parametrize(
    ("table", "row", "column", "eer", "auc"),
    [
        ("table1", "FOP", "Single branch", 27.5, 79.7),
        ("table1", "Git", "Two-branch", 31.3, 75.5),
        ("table1", "Center", "Voice only", 9.6, 96.7),
        ("table1", "FOP", "Face only", 14.4, 93.1),
        ("table3", "SBNet, Git", "Random", 25.7, 82.5),
        ("table3", "DIMNet", "Random", 24.9, None),
        ("table4", "HeVHeF", "FOP", 36.5, 69.2),
        ("table4", "Random", "Git", 25.8, 82.5),
        ("table5", "k = 5", "FOP", 35.2, 69.5),
    ],
)
def test_printed_figures_stand_in_their_cells(
    table: str, row: str, column: str, eer: float | None, auc: float | None
) -> None:
    assert cells(table)[row, column].paper == {"eer": eer, "auc": auc}


def test_table_2_prints_auc_by_criterion_and_measures_the_same_list() -> None:
    cell = cells("table2")["Center, two-branch", "GNA"]
    assert cell.paper == {"auc": 53.2}
    assert cell.path == ("verification", "cross_modal", "GNA")
    assert cells("table2")["Git, single branch", "G"].paper == {"auc": 68.3}


def test_runs_of_one_modality_are_measured_on_that_modality() -> None:
    assert cells("table1")["FOP", "Voice only"].path == ("verification", "voice", "random")
    assert cells("table1")["FOP", "Face only"].path == ("verification", "face", "random")


def test_every_column_has_its_floor_and_it_is_of_what_the_column_compares() -> None:
    for table in paper_tables():
        floors = {cell.column: cell for cell in table.cells if cell.floor}
        assert {cell.column for cell in table.cells} == floors.keys()
        for cell in table.cells:
            assert cell.path == floors[cell.column].path
    floors = {cell.column: cell.wanted for cell in cells("table1").values() if cell.floor}
    assert floors["Single branch"] == {"method": "cca", "modality": "both"}
    assert floors["Voice only"] == {"method": "raw", "modality": "voice"}
    assert floors["Face only"] == {"method": "raw", "modality": "face"}


def test_tables_agree_where_the_paper_prints_a_figure_twice() -> None:
    for loss in paper.LOSSES:
        assert paper.TABLE_1[loss]["single"] == paper.TABLE_4[paper.TABLE_1_ORDER[loss]][loss]
        assert paper.TABLE_1[loss]["single"][1] == paper.TABLE_2[loss]["single"][0]
        assert paper.TABLE_1[loss]["two"][1] == paper.TABLE_2[loss]["two"][0]
        assert paper.TABLE_1[loss]["single"][0] == paper.TABLE_3[loss][0]
