"""Tables as HTML: the paper's figure above ours, and ours with interval and deviation."""

from collections.abc import Sequence
from html import escape

from pipeline.report.answers import Answer
from pipeline.report.grid import Grid, Value
from pipeline.report.paper_tables import PaperTable
from pipeline.report.runs import Measured

_NAMES = {"eer": "EER", "auc": "AUC"}
_NONE = "\N{EN DASH}"
_LONG = 40  # letters; longer text may break into lines


def paper_table(table: PaperTable, found: Sequence[Answer]) -> str:
    """One table of the paper, a group of lines for each of its rows: the paper's, then ours by recipe."""
    columns = list(dict.fromkeys(cell.column for cell in table.cells))
    rows = list(dict.fromkeys(cell.row for cell in table.cells))
    measures = " / ".join(_NAMES[measure] for measure in table.cells[0].paper)
    head = "".join(f'<th scope="col">{escape(column)}<small>{measures}, %</small></th>' for column in columns)
    groups = "".join(_group(row, columns, [answer for answer in found if answer.cell.row == row]) for row in rows)
    return _scroll(f'<table><thead><tr><th scope="col"></th><th></th>{head}</tr></thead>{groups}</table>')


def grid_table(grid: Grid) -> str:
    """One table of ours."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in grid.header)
    shown = grid.rows if grid.shown is None else grid.rows[: grid.shown]
    body = "".join(f"<tr>{_head(row[0], grid)}{''.join(map(_td, row[1:]))}</tr>" for row in shown)
    table = _scroll(f'<table><thead><tr>{head}</tr></thead><tbody class="plain">{body}</tbody></table>')
    more = len(grid.rows) - len(shown)
    return table + (f'<p class="note">… and {more} more in tables/{grid.name}.csv</p>' if more else "")


def _group(row: str, columns: Sequence[str], found: Sequence[Answer]) -> str:
    recipes = list(dict.fromkeys(answer.recipe for answer in found))
    cells = {(answer.recipe, answer.cell.column): answer for answer in found}
    theirs = [answer.cell.wanted is None for answer in found]
    lines = [] if all(theirs) else recipes
    head = f'<th scope="rowgroup" rowspan="{1 + len(lines)}">{escape(row)}</th>'
    printed = "".join(f"<td>{_printed(cells[recipes[0], column])}</td>" for column in columns)
    text = f'<tr class="paper">{head}<td class="who">{"published" if all(theirs) else "paper"}</td>{printed}</tr>'
    for recipe in lines:
        ours = "".join(_ours(cells[recipe, column]) for column in columns)
        text += f'<tr class="ours"><td class="who">ours, {escape(recipe)}</td>{ours}</tr>'
    return f"<tbody>{text}</tbody>"


def _printed(answer: Answer) -> str:
    values = answer.cell.paper.values()
    return " / ".join(_NONE if value is None else f"{value:.1f}" for value in values)


def _ours(answer: Answer) -> str:
    if answer.run is None:
        return '<td class="absent">not run</td>'
    figures = list(answer.figures.values())
    if all(figure is None for figure in figures):
        return '<td class="absent">no such list</td>'
    values = " / ".join(_NONE if figure is None else f"{figure.value:.1f}" for figure in figures)
    small = [" / ".join(_interval(figure) for figure in figures), " / ".join(_deviation(figure) for figure in figures)]
    under = "".join(f"<small>{line}</small>" for line in small if line.strip(" /"))
    return f'<td title="{escape(answer.run.name)}">{values}{answer.run.mark}{under}</td>'


def _td(value: Value) -> str:
    if isinstance(value, Measured):
        under = "".join(f"<small>{part}</small>" for part in (_interval(value), _deviation(value)) if part)
        return f"<td>{value.value:.{value.decimals}f}{under}</td>"
    if value is None:
        return f"<td>{_NONE}</td>"
    kind = ' class="text"' if isinstance(value, str) and len(value) > _LONG else ""
    return f"<td{kind}>{_plain(value)}</td>"


def _head(value: Value, grid: Grid) -> str:
    return f'<th scope="row">{_plain(value)}{grid.marks.get(str(value), "")}</th>'


def _plain(value: Value) -> str:
    return escape(str(value))


def _interval(figure: Measured | None) -> str:
    if figure is None or figure.low is None or figure.high is None:
        return ""
    return f"[{figure.low:.{figure.decimals}f}, {figure.high:.{figure.decimals}f}]"


def _deviation(figure: Measured | None) -> str:
    return "" if figure is None or figure.std is None else f"±{figure.std:.{figure.decimals}f}"


def _scroll(table: str) -> str:
    return f'<div class="scroll" tabindex="0">{table}</div>'
