"""The page: one HTML file that needs nothing beside it, from the template report.html.j2."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pipeline.report import paper
from pipeline.report.header import Header
from pipeline.report.paper_tables import MatchedCell, PaperTable
from pipeline.report.runs import Measured
from pipeline.report.tables import ReportTable

_FOLDER = Path(__file__).parent
_LEFT_OUT = ("skipped", "coverage")
_BESIDE = {
    "table2": ("parity_labels",),
    "table3": ("differences", "difference_pairs", "cost"),
}  # a table of the paper -> ours shown below it
_MEASURES = {"eer": "EER", "auc": "AUC"}
_NONE = "\N{EN DASH}"
_LONG = 40  # letters; longer text may break into lines


@dataclass(frozen=True)
class Picture:
    """A figure ready for the page."""

    name: str
    caption: str
    svg: str  # inline


@dataclass(frozen=True)
class Contents:
    """Everything that the page holds."""

    title: str
    header: Header
    paper_tables: Sequence[tuple[PaperTable, Sequence[MatchedCell]]]
    pictures: Mapping[str, Sequence[Picture]]  # by recipe
    tables: Sequence[ReportTable]


@dataclass(frozen=True)
class _OwnCell:
    """Our figures in a cell of a paper's table; `run` is None where there are none, and the text says why."""

    run: str | None
    text: str
    small: tuple[str, ...] = ()  # lines below the figures
    columns: int = 1  # that it spans


@dataclass(frozen=True)
class _PaperRow:
    """A row of a paper's table: the printed figures, then ours by recipe, a cell a column; of a floor, ours alone."""

    name: str
    printed: Sequence[str]
    ours: Mapping[str, Sequence[_OwnCell]]
    remark: str = ""
    floor: bool = False


@dataclass(frozen=True)
class _PaperTable:
    """A table of the paper as the template takes it."""

    name: str
    title: str
    notes: Sequence[str]
    measures: str
    columns: Sequence[str]
    rows: Sequence[_PaperRow]
    beside: bool
    column_measures: Sequence[str]  # of each column
    recipes: Sequence[str]  # of ours


def page(contents: Contents) -> str:
    """The whole file."""
    beside = [name for names in _BESIDE.values() for name in names]
    by_name = {table.name: table for table in contents.tables}
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            title=contents.title,
            style=Markup((_FOLDER / "style.css").read_text(encoding="utf-8")),
            source=paper.SOURCE,
            warnings=[_split_lead(text) for text in contents.header.warnings],
            lines=contents.header.lines,
            paper_tables=[_paper_table(table, cells) for table, cells in contents.paper_tables],
            beside={name: [by_name[own] for own in names if own in by_name] for name, names in _BESIDE.items()},
            figures={recipe: _by_kind(pictures) for recipe, pictures in contents.pictures.items()},
            run_tables=[table for table in contents.tables if table.name not in (*_LEFT_OUT, *beside)],
            left_out=[table for table in contents.tables if table.name in _LEFT_OUT],
        )
    )


def environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.globals["none_sign"] = _NONE
    made.tests["measured"] = lambda value: isinstance(value, Measured)
    made.tests["long_text"] = lambda value: isinstance(value, str) and len(value) > _LONG
    made.filters |= {"mean": _mean, "interval": _interval, "deviation": _deviation}
    return made


def _split_lead(warning: str) -> tuple[str, str]:
    """The first words of a warning, up to a colon or a full stop, which the page sets in bold, and the rest."""
    end = min((at for at in (warning.find(":"), warning.find(".")) if at > 0), default=0)
    return warning[: end + 1], warning[end + 1 :]


def _paper_table(table: PaperTable, cells: Sequence[MatchedCell]) -> _PaperTable:
    """A table of the paper, a group of lines for each of its rows: the paper's, then ours by recipe."""
    columns = list(dict.fromkeys(cell.column for cell in table.cells))
    names = list(dict.fromkeys(cell.row for cell in table.cells))
    first = {cell.column: cell for cell in reversed(table.cells)}
    measures = [" / ".join(_MEASURES[measure] for measure in first[column].paper) for column in columns]
    recipes = list(dict.fromkeys(cell.recipe for cell in cells))
    rows = [_paper_row(name, columns, [cell for cell in cells if cell.printed.row == name]) for name in names]
    return _PaperTable(
        table.name, table.title, table.notes, measures[0], columns, rows, table.beside, measures, recipes
    )


def _paper_row(name: str, columns: Sequence[str], cells: Sequence[MatchedCell]) -> _PaperRow:
    recipes = list(dict.fromkeys(cell.recipe for cell in cells))
    placed = {(cell.recipe, cell.printed.column): cell for cell in cells}
    floor = any(cell.printed.floor for cell in cells)
    printed = [_printed(placed[recipes[0], column]) for column in columns]
    own = {recipe: [_own_cell(placed[recipe, column]) for column in columns] for recipe in recipes}
    if floor:  # one figure may be the floor of several columns
        own = {recipe: _joined(cells) for recipe, cells in own.items()}
    remarks = [str(cell.run.group("model").get("remark", "")) for cell in cells if cell.run]
    return _PaperRow(name, printed, own, next(iter(remarks), ""), floor)


def _joined(cells: Sequence[_OwnCell]) -> list[_OwnCell]:
    """Neighbours that say the same as one cell over their columns."""
    groups = [list(group) for _, group in groupby(cells)]
    return [replace(group[0], columns=len(group)) for group in groups]


def _printed(matched: MatchedCell) -> str:
    values = matched.printed.paper.values()
    return " / ".join(_NONE if value is None else f"{value:.1f}" for value in values)


def _own_cell(matched: MatchedCell) -> _OwnCell:
    if matched.run is None:
        return _OwnCell(None, "not run")
    figures = list(matched.figures.values())
    if all(figure is None for figure in figures):
        return _OwnCell(None, "no such list" if matched.run.scores_pairs else "matching only")
    text = " / ".join(_NONE if figure is None else _mean(figure) for figure in figures)
    below = [" / ".join(_interval(figure) for figure in figures), " / ".join(_deviation(figure) for figure in figures)]
    recipe = matched.run.settings.recipe
    below += [f"recipe {recipe}"] if recipe != matched.recipe else []  # the column is headed by its own
    return _OwnCell(matched.run.name, text + matched.run.mark, tuple(line for line in below if line.strip(" /")))


def _by_kind(pictures: Sequence[Picture]) -> list[list[Picture]]:
    """Pictures of one kind, which the page sets side by side; the kind is the first part of the name."""
    marked = [Picture(picture.name, picture.caption, Markup(picture.svg)) for picture in pictures]
    return [list(kind) for _, kind in groupby(marked, key=lambda picture: picture.name.split("_")[0])]


def _mean(figure: Measured) -> str:
    return f"{figure.value:.{figure.decimals}f}"


def _interval(figure: Measured | None) -> str:
    if figure is None or figure.low is None or figure.high is None:
        return ""
    return f"[{figure.low:.{figure.decimals}f}, {figure.high:.{figure.decimals}f}]"


def _deviation(figure: Measured | None) -> str:
    return "" if figure is None or figure.std is None else f"±{figure.std:.{figure.decimals}f}"
