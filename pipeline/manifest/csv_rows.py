"""Tables that people write by hand: comma, semicolon or tab, UTF-8, with line numbers for the errors."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import ManifestError
from pipeline.manifest.checks import refuse


@dataclass(frozen=True)
class Row:
    """One line of a table, values stripped; empty ones are left out."""

    source: str  # "items.csv line 3"
    values: Mapping[str, str]


@dataclass(frozen=True)
class Rows:
    """A table as text."""

    path: Path
    header: tuple[str, ...]
    rows: tuple[Row, ...]


def read_rows(path: Path, key: str) -> Rows:
    """Read a table with a header line; `key` of params.yaml is named where it fails.

    Raises ManifestError for a file that is absent, not UTF-8 or not a table, and for lines with too many or too few
    values, naming them.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path} is not UTF-8 (byte {error.start}); save it as UTF-8") from error
    except OSError as error:
        raise ManifestError(f"{path} cannot be read ({error.strerror}); mend manifest.{key} in params.yaml") from error
    first = text.split("\n", 1)[0]
    delimiter = "\t" if "\t" in first else ";" if ";" in first and "," not in first else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        numbered = [(reader.line_num, [value.strip() for value in line]) for line in reader if any(line)]
    except csv.Error as error:
        raise ManifestError(f"{path} line {reader.line_num} is no table line: {error}") from error
    if not numbered:
        raise ManifestError(f"{path} is empty: its first line must name the columns; mend manifest.{key}")
    (_, header), lines = numbered[0], numbered[1:]
    _refuse_ragged(path, header, lines)
    rows = tuple(
        Row(f"{path.name} line {number}", {name: value for name, value in zip(header, line, strict=True) if value})
        for number, line in lines
    )
    return Rows(path, tuple(header), rows)


def renamed(table: Rows, names: tuple[str, ...], columns: Mapping[str, str]) -> Rows:
    """The table under our names: `columns` maps ours to the table's where they differ; other columns are dropped."""
    theirs = {name: columns[name] if columns.get(name) in table.header else name for name in names}
    rows = tuple(
        Row(row.source, {name: row.values[their] for name, their in theirs.items() if their in row.values})
        for row in table.rows
    )
    return Rows(table.path, tuple(name for name, their in theirs.items() if their in table.header), rows)


def _refuse_ragged(path: Path, header: list[str], lines: list[tuple[int, list[str]]]) -> None:
    twice = sorted({name for name in header if header.count(name) > 1})
    refuse(twice, f"{path}: columns that are named twice", "Rename or remove one of each.")
    problems = [
        f"line {number}: {len(line)} values for {len(header)} columns"
        for number, line in lines
        if len(line) != len(header)
    ]
    refuse(
        problems, f"{path}: lines that do not fit the header", "Put values that hold the separator in double quotes."
    )
