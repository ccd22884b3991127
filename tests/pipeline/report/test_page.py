"""What the template makes of tables, figures and warnings: a dash for what is absent, everything escaped."""

import re

from pipeline.report.header import Header
from pipeline.report.page import Contents, Picture, page
from pipeline.report.paper_tables import match_runs, paper_tables
from pipeline.report.runs import Measured, Run
from pipeline.report.tables import ReportTable
from tests.pipeline.settings_for_training import train_settings


def rendered(*tables: ReportTable, warnings: tuple[str, ...] = (), pictures: tuple[Picture, ...] = ()) -> str:
    header = Header((("Corpus", "a & b"),), warnings)
    printed = [(table, match_runs(table, [], ["honest"])) for table in paper_tables()]
    return page(Contents("A <title>", header, printed, {"honest": pictures}, tables))


def cells(html: str, row: str) -> list[str]:
    (line,) = re.findall(rf'<tr><th scope="row">{row}.*?</th>(.*?)</tr>', html, flags=re.DOTALL)
    return re.findall(r"<td.*?</td>", line, flags=re.DOTALL)


def test_absent_value_is_a_dash_and_a_figure_has_its_interval_and_deviation_below() -> None:
    rows = (("a", None, Measured(12.5, 10.04, 15.0, 0.5), 0), ("b", 1, Measured(1.5, None, None, None), "x"))
    html = rendered(ReportTable("own", "Own", (), ("Run", "Count", "EER", "Remark"), rows, marks={"b": " †"}))
    assert cells(html, "a") == [
        "<td>\N{EN DASH}</td>",
        "<td>12.5<small>[10.0, 15.0]</small><small>±0.5</small></td>",
        "<td>0</td>",
    ]
    assert cells(html, "b †") == ["<td>1</td>", "<td>1.5</td>", "<td>x</td>"]


def test_long_table_is_cut_on_the_page_and_names_the_csv_that_has_the_rest() -> None:
    rows = tuple((f"item{number}", "x" * 41) for number in range(5))
    html = rendered(ReportTable("skipped", "Skipped items", (), ("Item", "Reason"), rows, shown=2))
    assert "item1" in html and "item2" not in html
    assert "… and 3 more in tables/skipped.csv" in html
    assert cells(html, "item0") == [f'<td class="text">{"x" * 41}</td>']


def test_folded_table_says_how_many_rows_it_has_and_an_empty_one_shows_its_notes_alone() -> None:
    folded = ReportTable("coverage", "Lists", (), ("List",), (("a",), ("b",)), folded=True)
    empty = ReportTable("skipped", "Skipped items", ("Every item could be used.",), ("Item",), ())
    html = rendered(folded, empty)
    assert "<summary>Lists (2 rows)</summary>" in html
    assert re.search(r"Skipped items</h3>\s*<p class=\"note\">Every item could be used.</p>\s*</section>", html)


def test_texts_are_escaped_but_figures_are_not() -> None:
    table = ReportTable("own", "T<i>", ("note <b>",), ("<h>",), (("<r>", "<v>"),))
    picture = Picture("roc_x", "caption <c>", "<svg><path/></svg>")
    html = rendered(table, warnings=("LEAK: <w>.",), pictures=(picture,))
    assert "<svg><path/></svg><figcaption>caption &lt;c&gt;" in html
    assert '<p class="warning" role="note"><b>LEAK:</b> &lt;w&gt;.</p>' in html
    for tag in ("<i>", "note <b>", "<h>", "<r>", "<v>", "<c>", "<w>", "A <title>"):
        assert tag not in html


def test_cell_without_a_run_says_not_run_and_neighbours_of_one_floor_are_one_cell() -> None:
    html = rendered()
    spans = re.findall(r'<td(?: colspan="(\d+)")? class="absent">not run</td>', html)
    assert sum(int(span or 1) for span in spans) == sum(len(table.cells) for table in paper_tables())
    assert "5" in spans  # the floor of Table II


def test_rivals_have_their_published_figures_beside_ours_and_floors_ours_alone_at_the_foot() -> None:
    html = rendered()
    (row,) = re.findall(r'<tr class="ours">\s*<th scope="row">DIMNet</th>(.*?)</tr>', html, flags=re.DOTALL)
    assert re.findall(r'<td class="(\w+)">(.*?)</td>', row) == [
        ("printed", "24.9 / \N{EN DASH}"),
        ("absent", "not run"),
        ("absent", "not run"),
    ]
    assert re.findall(r'<tr class="floor">\s*<th scope="row">(.*?)</th>', html) == ["Floor", *["Ridge CCA (floor)"] * 4]
    third = html[html.index("Table III") : html.index("Table IV")]
    assert third.index("Two-branch, InfoNCE + CE") < third.index("Ridge CCA (floor)")


def test_a_method_that_scores_galleries_is_said_to_match_only() -> None:
    own = train_settings().model_copy(update={"method": "svhf"})
    model = {"compares": "galleries", "remark": "matching only: it gives no score of a pair"}
    run = Run("svhf", own, own, {"model": model}, None, None)
    printed = [(table, match_runs(table, [run], ["honest"])) for table in paper_tables() if table.name == "table3"]
    html = page(Contents("A title", Header((), ()), printed, {}, ()))
    (row,) = re.findall(r'<th scope="row">SVHF(.*?)</tr>', html, flags=re.DOTALL)
    assert "<small>matching only: it gives no score of a pair</small>" in row
    assert row.count('<td class="absent">matching only</td>') == 2


def test_a_run_of_another_recipe_than_its_columns_is_said_to_be() -> None:
    figures = {"verification": {"cross_modal": {"random": {"eer": 20.5, "auc": 88.0}}}}
    own = {"honest": {"method": "multi_view", "loss": "ce"}, "best": {"method": "identity_cca", "loss": "own"}}
    settings = {recipe: train_settings(recipe=recipe).model_copy(update=keys) for recipe, keys in own.items()}
    runs = [Run(name, one, one, figures, None, None) for name, one in settings.items()]
    printed = [(table, match_runs(table, runs, ["honest", "best"])) for table in paper_tables() if table.beside]
    html = page(Contents("A title", Header((), ()), printed, {}, ()))
    rows = {
        name: re.findall(rf'<th scope="row">{name}(.*?)</tr>', html, re.DOTALL)[0] for name in ("Multi-view", "Best")
    }
    assert "20.5 / 88.0<small>recipe best</small>" in rows["Best"]
    assert "20.5 / 88.0</td>" in rows["Multi-view"]
