"""The page: one HTML file that needs nothing beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from pathlib import Path

from pipeline.report import paper
from pipeline.report.answers import Answer
from pipeline.report.facts import Facts
from pipeline.report.grid import Grid
from pipeline.report.markup import grid_table, paper_table
from pipeline.report.paper_tables import PaperTable

_LEFT_OUT = ("skipped", "coverage")
_PARITY = ("parity_labels",)  # belongs beside Table II
_STYLE = Path(__file__).with_name("style.css")


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
    facts: Facts
    tables: Sequence[tuple[PaperTable, Sequence[Answer]]]
    pictures: Mapping[str, Sequence[Picture]]  # by recipe
    grids: Sequence[Grid]


def page(contents: Contents) -> str:
    """The whole file."""
    ours = [grid for grid in contents.grids if grid.name not in (*_LEFT_OUT, *_PARITY)]
    parts = [
        ("paper", "The paper's tables", _paper(contents)),
        ("figures", "Figures", _figures(contents.pictures)),
        ("runs", "More of our runs", _grids(ours)),
        ("left-out", "What was left out", _grids([grid for grid in contents.grids if grid.name in _LEFT_OUT])),
    ]
    links = "".join(f'<li><a href="#{name}">{escape(title)}</a></li>' for name, title, _ in parts)
    sections = "".join(f'<section id="{name}"><h2>{escape(title)}</h2>{body}</section>' for name, title, body in parts)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(contents.title)}</title><style>{_STYLE.read_text(encoding='utf-8')}</style></head><body>"
        f"<header><h1>{escape(contents.title)}</h1>{_header(contents.facts)}</header>"
        f'<nav aria-label="Contents"><ul>{links}</ul></nav><main>{sections}</main></body></html>\n'
    )


def _header(facts: Facts) -> str:
    warnings = "".join(f'<p class="warning" role="note">{_emphasised(text)}</p>' for text in facts.warnings)
    lines = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.lines)
    return f"{warnings}<dl>{lines}</dl>"


def _emphasised(warning: str) -> str:
    """A warning with its first words, up to a colon or a full stop, in bold."""
    end = min((at for at in (warning.find(":"), warning.find(".")) if at > 0), default=0)
    return f"<b>{escape(warning[: end + 1])}</b>{escape(warning[end + 1 :])}"


def _paper(contents: Contents) -> str:
    intro = (
        f'<p class="note">Grey: as printed ({paper.SOURCE}, on VoxCeleb1). Below it: ours, measured on this corpus. '
        "EER: lower is better; AUC: higher is better. Numbers of every table: tables/*.csv.</p>"
    )
    parts = []
    for table, found in contents.tables:
        parts.append(f"<h3>{escape(table.title)}</h3>{_notes(table.notes)}{paper_table(table, found)}")
        parts += [_grid(grid) for grid in contents.grids if table.name == "table2" and grid.name in _PARITY]
    return intro + "".join(parts)


def _figures(pictures: Mapping[str, Sequence[Picture]]) -> str:
    return "".join(f"<h3>Recipe {escape(recipe)}</h3>{_rows(shown)}" for recipe, shown in pictures.items())


def _rows(pictures: Sequence[Picture]) -> str:
    """Pictures of one kind side by side; the kind is the first part of the name."""
    kinds = groupby(pictures, key=lambda picture: picture.name.split("_")[0])
    return "".join(f'<div class="figures">{"".join(map(_figure, shown))}</div>' for _, shown in kinds)


def _figure(picture: Picture) -> str:
    return f'<figure id="{picture.name}">{picture.svg}<figcaption>{escape(picture.caption)}</figcaption></figure>'


def _grids(grids: Sequence[Grid]) -> str:
    return "".join(map(_grid, grids))


def _grid(grid: Grid) -> str:
    table = f"{_notes(grid.notes)}{grid_table(grid) if grid.rows else ''}"
    if not grid.folded:
        return f"<h3>{escape(grid.title)}</h3>{table}"
    return f"<details><summary>{escape(grid.title)} ({len(grid.rows)} rows)</summary>{table}</details>"


def _notes(notes: Sequence[str]) -> str:
    return "".join(f'<p class="note">{escape(note)}</p>' for note in notes)
