"""Put the report together and write it: report.html, tables/*.csv, figures/*.svg and *.png."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from pipeline.files import atomic_path, write_text
from pipeline.protocol import read_protocol
from pipeline.report import paper
from pipeline.report.challenge import challenge_table
from pipeline.report.comparison import cost_table, difference_tables, entries
from pipeline.report.figure_style import house_style, inline, to_png, to_svg
from pipeline.report.figures import KINDS, Plot, curve_plots, figure_3, figure_4, figure_4_here, reliability_plots
from pipeline.report.header import report_header
from pipeline.report.leaks import is_voxceleb1, leaks, provenance_of
from pipeline.report.page import Contents, Picture, page
from pipeline.report.paper_tables import MatchedCell, PaperTable, match_runs, matched_csv, paper_tables, wanted_for
from pipeline.report.run_tables import parity_table, run_tables
from pipeline.report.runs import Run, read_runs, recipes_of, run_of
from pipeline.report.tables import ReportTable, coverage_table, skipped_table, to_csv
from pipeline.settings import Params

PAGE = "report.html"
_SKIPPED = ("faces/skipped.csv", "voices/skipped.csv")


def build_report(params: Params, artifacts: Path, target: Path) -> None:
    """Read everything that stages left under `artifacts` and write the report to `target`, replacing an older one.

    Runs that were not evaluated are marked "not run" in the tables. Raises RunError for results that cannot
    be read, StoreError for a store that cannot.
    """
    protocol = read_protocol(artifacts / "protocol")
    weights = {"face": provenance_of(artifacts / "faces"), "voice": provenance_of(artifacts / "voices")}
    runs = read_runs(params, artifacts / "runs")
    recipes = recipes_of(params, runs)
    printed = [(table, match_runs(table, runs, recipes)) for table in paper_tables()]
    placed = {cell.run.name for _, matched in printed for cell in matched if cell.run}
    challenge = challenge_table(runs, str(protocol.summary.get("version", "")))
    compared = entries(next(matched for table, matched in printed if table.beside))
    tables = [
        *_parity(runs),
        *([challenge] if challenge.rows else []),
        *difference_tables(compared, artifacts / "runs", params.evaluate),
        *cost_table(compared),
        *run_tables(runs, placed),
        skipped_table([artifacts / name for name in _SKIPPED]),
        coverage_table(protocol.coverage),
    ]
    for folder in ("tables", "figures"):  # an older report's files must not stay beside the new one's
        shutil.rmtree(target / folder, ignore_errors=True)
    drawn = [(row.name, row.run) for row in compared]
    pictures = {recipe: _draw(runs, recipe, drawn, params, target / "figures") for recipe in recipes}
    pictures = {recipe: found for recipe, found in pictures.items() if found}
    _write_tables(target / "tables", printed, tables)
    header = report_header(
        params, runs, weights, protocol.summary, leaks(weights, protocol), is_voxceleb1(protocol.identities)
    )
    write_text(target / PAGE, page(Contents(params.report.title, header, printed, pictures, tables)))


def _parity(runs: Sequence[Run]) -> list[ReportTable]:
    table = parity_table(runs)
    return [table] if table.rows else []


def _draw(
    runs: Sequence[Run], recipe: str, compared: Sequence[tuple[str, Run]], params: Params, folder: Path
) -> list[Picture]:
    """Draw a recipe's figures, write their files, and give them back for the page."""
    suffix = "" if recipe == params.train.recipe else f"_{recipe}"
    with house_style():
        plots = _plots(runs, recipe, suffix)
        if recipe == params.train.recipe:
            plots += [figure_4(), *figure_4_here(compared)]
        pictures = []
        for plot in plots:
            svg = to_svg(plot.figure)
            write_text(folder / f"{plot.name}.svg", svg)
            with atomic_path(folder / f"{plot.name}.png") as temporary:
                temporary.write_bytes(to_png(plot.figure))
            pictures.append(Picture(plot.name, plot.caption, inline(svg, plot.caption)))
    return pictures


def _plots(runs: Sequence[Run], recipe: str, suffix: str) -> list[Plot]:
    matching: list[Plot] = []
    curves: list[Plot] = []
    for loss in paper.LOSSES:
        found = {kind: run_of(wanted_for(loss, kind), runs, recipe) for kind in KINDS}
        own = {kind: run for kind, run in found.items() if run is not None}
        matching += figure_3(own, loss, suffix)
        curves += [*curve_plots(own, loss, suffix), *reliability_plots(own, loss, suffix)]
    kinds = ("roc", "det", "reliability")  # a line of the page each
    curves.sort(key=lambda plot: kinds.index(plot.name.split("_")[0]))
    return [*matching, *curves]


def _write_tables(
    folder: Path, printed: Sequence[tuple[PaperTable, Sequence[MatchedCell]]], tables: Sequence[ReportTable]
) -> None:
    for paper_table, matched in printed:
        write_text(folder / f"{paper_table.name}.csv", matched_csv(matched))
    for table in tables:
        write_text(folder / f"{table.name}.csv", to_csv(table))
