"""The report as a whole: figures of runs where they were run, self-contained, escaped, the same bytes each time."""

import csv
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pipeline.errors import RunError
from pipeline.report import build_report
from pipeline.settings import Params
from tests.pipeline.report.project import shipped_params, write_artifacts, write_params, write_results

VOID = {"meta", "link", "br", "hr", "img", "path", "use", "rect"}
RUNS = ["single_fop", "two_fop", "voice_only_fop", "face_only_fop", "mine", "cheating", "cca"]


class Page(HTMLParser):
    """Collects text, links and sources; fails on tags that do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.addresses: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> tuple[Params, Path]:
    """Seven of the runs evaluated, one a user's own and one chosen on the test list; the others not run."""
    folder = tmp_path_factory.mktemp("project")
    raw = shipped_params()
    raw["experiments"] |= {
        "mine": {"loss": "fop", "methods": {"sbnet": {"embedding": 64}}},
        "cheating": {"recipe": "official", "loss": "fop", "order": "vfvf"},
    }
    raw["report"] = {"title": "Faces & <voices>"}
    params = write_params(folder, raw)
    write_artifacts(folder)
    write_results(folder, RUNS)
    build_report(params, folder, folder / "report")
    return params, folder


def lines(folder: Path, table: str) -> list[dict[str, str]]:
    with (folder / "report" / "tables" / f"{table}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_page_is_well_formed_and_needs_nothing_beside_it(project: tuple[Params, Path]) -> None:
    page = Page((project[1] / "report" / "report.html").read_text(encoding="utf-8"))
    assert all(address.startswith("#") for address in page.addresses)
    html = (project[1] / "report" / "report.html").read_text(encoding="utf-8")
    assert "<script" not in html
    assert not re.findall(r"url\((?!#)", html)
    assert "prefers-color-scheme: dark" in html
    assert 'name="viewport"' in html


def test_every_measured_figure_has_its_interval(project: tuple[Params, Path]) -> None:
    html = (project[1] / "report" / "report.html").read_text(encoding="utf-8")
    wanted = {
        "retrieval": ["r@1", "r@5", "r@10", "map"],
        "matching": ["n_=_2", "n_=_4"],
        "runs": ["eer", "auc", "mindcf"],
        "seen_heard": ["eer", "auc_random"],
    }
    for table, columns in wanted.items():
        line = next(line for line in lines(project[1], table) if line["run"] == "single_fop")
        for column in columns:
            low, high = float(line[f"{column}_low"]), float(line[f"{column}_high"])
            decimals = 3 if column == "mindcf" else 1
            assert low <= high and f"<small>[{low:.{decimals}f}, {high:.{decimals}f}]</small>" in html


def test_texts_from_outside_are_escaped(project: tuple[Params, Path]) -> None:
    html = (project[1] / "report" / "report.html").read_text(encoding="utf-8")
    assert "<title>Faces &amp; &lt;voices&gt;</title>" in html
    assert "no audio &lt;track&gt; &amp; no face" in html


def test_evaluated_cells_hold_the_runs_figures_and_others_say_not_run(project: tuple[Params, Path]) -> None:
    metrics = json.loads((project[1] / "runs" / "single_fop" / "metrics.json").read_text())
    figures = metrics["verification"]["cross_modal"]["random"]
    table = {
        (line["row"], line["column"], line["measure"], line["recipe"]): line for line in lines(project[1], "table1")
    }
    ours = table["FOP", "Single branch", "eer", "honest"]
    assert (ours["paper"], ours["run"], ours["seeds"], ours["chosen_on"]) == ("27.5", "single_fop", "3", "validation")
    found = [float(ours[key]) for key in ("ours", "low", "high", "std")]
    assert found == [figures[key] for key in ("eer", "eer_low", "eer_high", "eer_std")]
    assert table["Git", "Single branch", "eer", "honest"]["run"] == "not run"
    assert table["Git", "Single branch", "eer", "honest"]["ours"] == ""
    voice = table["FOP", "Voice only", "auc", "honest"]
    assert float(voice["ours"]) == metrics["verification"]["voice"]["random"]["auc"]
    text = " ".join(Page((project[1] / "report" / "report.html").read_text(encoding="utf-8")).texts)
    assert f"{figures['eer']:.1f} / {figures['auc']:.1f}" in text
    assert "not run" in text


def test_figures_chosen_on_the_test_list_are_marked_under_their_recipe(project: tuple[Params, Path]) -> None:
    cheated = [line for line in lines(project[1], "table1") if line["run"] == "cheating"]
    assert {(line["recipe"], line["chosen_on"]) for line in cheated} == {("official", "test")}
    html = (project[1] / "report" / "report.html").read_text(encoding="utf-8")
    assert html.count("†") >= 1 + len(cheated) // 2
    assert "cheating †" in html


@pytest.mark.parametrize("table", ["runs", "other_runs", "matching", "retrieval", "seen_heard", "parity_labels"])
def test_every_table_of_runs_says_in_its_csv_what_each_was_chosen_on(project: tuple[Params, Path], table: str) -> None:
    chosen = {line["run"]: line["chosen_on"] for line in lines(project[1], table)}
    assert chosen and {name for name, rule in chosen.items() if rule == "test"} <= {"cheating"}
    assert set(chosen.values()) <= {"test", "validation", "last"}
    assert chosen.get("cheating", "test") == "test"


def test_recipe_without_a_run_in_a_table_is_not_listed_there(project: tuple[Params, Path]) -> None:
    assert {line["recipe"] for line in lines(project[1], "table5")} == {"honest"}
    assert {line["recipe"] for line in lines(project[1], "table1")} == {"honest", "official"}


def test_run_beyond_the_paper_is_in_a_table_of_its_own(project: tuple[Params, Path]) -> None:
    assert [(line["run"], line["differs_from_the_recipe_in"]) for line in lines(project[1], "other_runs")] == [
        ("mine", "sbnet.embedding = 64")
    ]


def test_parity_labels_stand_beside_the_right_ones(project: tuple[Params, Path]) -> None:
    found = lines(project[1], "parity_labels")
    assert {line["list"] for line in found} == {"N"}
    assert {line["labels_wrong_%"] for line in found} == {"50.0"}


def test_every_table_and_figure_has_its_files(project: tuple[Params, Path]) -> None:
    report = project[1] / "report"
    names = {path.name for path in (report / "tables").iterdir()}
    own = {"runs", "other_runs", "parity_labels", "seen_heard", "matching", "retrieval", "skipped", "coverage"}
    own |= {"differences", "difference_pairs", "cost", "calibration"}
    assert names == {f"{name}.csv" for name in own | {f"table{number}" for number in range(1, 6)}}
    drawn = {"figure3_fop", "roc_fop", "det_fop", "reliability_fop"}
    drawn |= {f"{name}_official" for name in drawn} | {"figure4", "figure4_here"}
    assert {path.name for path in (report / "figures").iterdir()} == {
        f"{name}.{kind}" for name in drawn for kind in ("svg", "png")
    }
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in (report / "figures").glob("*.png"))


def test_skipped_items_are_all_listed(project: tuple[Params, Path]) -> None:
    assert [line["item"] for line in lines(project[1], "skipped")] == ["broken/faces.mp4", "broken/voices.mp4"]


def test_same_results_give_the_same_bytes_and_old_files_go(project: tuple[Params, Path]) -> None:
    params, folder = project
    before = {path: path.read_bytes() for path in (folder / "report").rglob("*") if path.is_file()}
    stale = folder / "report" / "figures" / "of_an_older_run.svg"
    stale.write_text("old")
    build_report(params, folder, folder / "report")
    assert {path: path.read_bytes() for path in (folder / "report").rglob("*") if path.is_file()} == before


def test_report_of_no_run_at_all_says_so(tmp_path: Path) -> None:
    params = write_params(tmp_path, shipped_params())
    write_artifacts(tmp_path)
    build_report(params, tmp_path, tmp_path / "report")
    text = " ".join(Page((tmp_path / "report" / "report.html").read_text(encoding="utf-8")).texts)
    assert f"0 of {len(params.experiments)} evaluated" in text
    assert {line["run"] for line in lines(tmp_path, "table4")} == {"not run"}


def test_damaged_results_are_named(tmp_path: Path) -> None:
    params = write_params(tmp_path, shipped_params())
    write_artifacts(tmp_path)
    write_results(tmp_path, ["two_git"])
    (tmp_path / "runs" / "two_git" / "metrics.json").write_text('{"verification": ')
    with pytest.raises(RunError, match=r"two_git.*dvc repro evaluate@two_git"):
        build_report(params, tmp_path, tmp_path / "report")
