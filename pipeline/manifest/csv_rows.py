"""Tables that people write by hand: comma, semicolon or tab, UTF-8, with line numbers for the errors."""

import csv
import io
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.errors import ManifestError
from pipeline.manifest.checks import refuse

_SEPARATOR = re.compile(r'"?sep=(.)"?[,;]*\s*$', re.IGNORECASE)  # what spreadsheets take for the name of the separator

logger = logging.getLogger(__name__)


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
    comments: tuple[int, ...]  # numbers of the lines that begin with #


def read_rows(path: Path, key: str) -> Rows:
    """Read a table with a header line; `key` of params.yaml is named where it fails.

    Lines that begin with # are comments, a line `sep=;` above the header names the separator, and empty columns behind
    the last named one are dropped, as spreadsheets leave them. Raises ManifestError for a file that is absent, not
    UTF-8 or not a table, and for lines with too many or too few values, naming them.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path} is not UTF-8 (byte {error.start}); save it as UTF-8") from error
    except OSError as error:
        raise ManifestError(f"{path} cannot be read ({error.strerror}); mend manifest.{key} in params.yaml") from error
    numbered, comments = _lines(path, text)
    if not numbered:
        raise ManifestError(f"{path} is empty: its first line must name the columns; mend manifest.{key}")
    (_, header), lines = numbered[0], numbered[1:]
    width = max((at for at, name in enumerate(header, 1) if name), default=0)
    header, lines = header[:width], [(number, _trimmed(line, width)) for number, line in lines]
    _refuse_ragged(path, header, lines)
    rows = tuple(
        Row(f"{path.name} line {number}", {name: value for name, value in zip(header, line, strict=True) if value})
        for number, line in lines
    )
    return Rows(path, tuple(header), rows, comments)


def _lines(path: Path, text: str) -> tuple[list[tuple[int, list[str]]], tuple[int, ...]]:
    """Number and values of every row that holds any, without a line that names the separator; numbers of comments."""
    written = list(io.StringIO(text, newline=""))
    head = next((at for at, line in enumerate(written) if line.strip() and not line.startswith("#")), 0)
    named = _SEPARATOR.match(written[head]) if written else None
    if named:
        written[head] = "\n"
    lines = _RowLines(written)
    reader = csv.reader(lines, delimiter=named[1] if named else _separator(written), strict=True)
    numbered = []
    try:
        for row in reader:
            if any(values := [value.strip() for value in row]):
                numbered.append((lines.begin, values))
            lines.within = False
    except csv.Error as error:
        raise ManifestError(f"{path} line {lines.begin} is no table line: {error}") from error
    return numbered, tuple(lines.comments)


class _RowLines:
    """The lines of a table without comments, which are left out before csv looks at their quotes.

    Within a quoted value that holds line breaks, a line that begins with # is a part of it.
    """

    def __init__(self, written: Sequence[str]) -> None:
        self._numbered = enumerate(written, 1)
        self.begin = 0  # number of the line where the row begins
        self.within = False  # a row that is not at its end
        self.comments: list[int] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        number, line = next(self._numbered)
        while not self.within and line.startswith("#"):
            self.comments.append(number)
            number, line = next(self._numbered)
        self.begin, self.within = self.begin if self.within else number, True
        return line


def _separator(written: Sequence[str]) -> str:
    """What separates the values of the first line that is no comment."""
    header = next((line for line in written if line.strip() and not line.startswith("#")), "")
    return "\t" if "\t" in header else ";" if ";" in header and "," not in header else ","


def _trimmed(line: list[str], width: int) -> list[str]:
    """The line without empty values behind the named columns."""
    filled = max((at for at, value in enumerate(line, 1) if value), default=0)
    return line[: max(width, filled)]


def renamed(table: Rows, names: tuple[str, ...], columns: Mapping[str, str]) -> Rows:
    """The table under our names: `columns` maps ours to the table's where they differ; other columns are dropped."""
    if table.comments:
        message = "%s: %d line(s) that begin with # are comments, first: line %d; a value that does so needs quotes"
        logger.warning(message, table.path, len(table.comments), table.comments[0])
    theirs = {name: columns[name] if columns.get(name) in table.header else name for name in names}
    rows = tuple(
        Row(row.source, {name: row.values[their] for name, their in theirs.items() if their in row.values})
        for row in table.rows
    )
    return replace(table, header=tuple(name for name, their in theirs.items() if their in table.header), rows=rows)


def _refuse_ragged(path: Path, header: list[str], lines: list[tuple[int, list[str]]]) -> None:
    twice = sorted({name for name in header if name and header.count(name) > 1})
    refuse(twice, f"{path}: columns that are named twice", "Rename or remove one of each.")
    problems = [
        f"line {number}: {len(line)} values for {len(header)} columns"
        for number, line in lines
        if len(line) != len(header)
    ]
    refuse(
        problems, f"{path}: lines that do not fit the header", "Put values that hold the separator in double quotes."
    )
