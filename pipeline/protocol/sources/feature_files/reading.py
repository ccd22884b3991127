"""Read one feature file: 512 numbers and a label a line, no header; whatever is not is named by file and line.

The label of a test file means nothing and may be missing: the official code reads test files without it
(`twobranch_fop/test.py` gives whole rows to a network of 512 inputs), training files with it.
"""

import logging
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
from numpy.typing import NDArray

from pipeline.errors import StoreError

DIMENSION = 512
_BLOCK = 1 << 26  # bytes parsed at a time
_OFF_UNIT = 1e-3

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Features:
    """Row i is line i + 1 of the file."""

    matrix: NDArray[np.float32]  # (N, 512), unit norm
    labels: NDArray[np.int64] | None  # (N,); None: the file has none
    rescaled: int  # rows whose vectors were not of unit norm in the file


def read_features(path: Path, *, labelled: bool) -> Features:
    """Read a feature file and bring its vectors to unit norm; unless `labelled`, its lines may end without a label.

    Raises StoreError naming file and line for another width, a header, a cell that is no finite number, a label that is
    no whole number and a vector of zeros.
    """
    width = DIMENSION if not labelled and _first_width(path) == DIMENSION else DIMENSION + 1
    numbers = _numbers(path, width)
    vectors, labels = numbers[:, :DIMENSION], numbers[:, DIMENSION:]
    if np.array_equal(vectors[0], np.arange(DIMENSION)):
        raise StoreError(f"{path} line 1: numbers of columns, no features; write the file without header and index")
    for bad, what in (
        (~np.isfinite(numbers).all(axis=1), "a cell is not a finite number"),
        ((labels != np.round(labels)).any(axis=1), "the label, its last cell, is not a whole number"),
        (~vectors.any(axis=1), "the vector is all zeros"),
    ):
        if bad.any():
            raise StoreError(f"{path} line {int(np.argmax(bad)) + 1}: {what}")
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    rescaled = int((np.abs(norms - 1.0) > _OFF_UNIT).sum())
    if rescaled:
        logger.warning("%s: %d of %d vectors are not of unit norm and were rescaled", path, rescaled, len(norms))
    matrix = (vectors / norms).astype(np.float32)
    return Features(matrix, labels[:, 0].astype(np.int64) if width > DIMENSION else None, rescaled)


def _first_width(path: Path) -> int:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.readline().count(",") + 1
    except OSError:  # the reading that follows says why
        return 0


def _numbers(path: Path, width: int) -> NDArray[np.float64]:
    """(N, width) as they stand."""
    names = [f"column {number}" for number in range(1, width + 1)]
    try:
        table = pyarrow.csv.read_csv(
            path,
            read_options=pyarrow.csv.ReadOptions(column_names=names, block_size=_BLOCK),
            parse_options=pyarrow.csv.ParseOptions(ignore_empty_lines=False, quote_char=False),
            convert_options=pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.float64()), null_values=[]),
        )
    except (OSError, pa.ArrowException) as error:
        raise StoreError(_first_fault(path, width) or f"{path} cannot be read as features: {error}") from error
    return np.column_stack([column.to_numpy() for column in table.columns])


def _first_fault(path: Path, width: int) -> str | None:
    """The first line that is not `width` numbers, found by going through them: the fast parser does not tell."""
    if not path.is_file():
        return f"{path} does not exist; features.source csv needs the official feature files there"
    if not path.stat().st_size:
        return f"{path} is empty"
    wanted = f"{width} ({DIMENSION} numbers{' and a label' if width > DIMENSION else ', as in line 1'})"
    with path.open(encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, start=1):
            cells = line.rstrip("\r\n").split(",")
            if len(cells) != width:
                return f"{path} line {number}: {len(cells)} cells instead of {wanted}"
            for column, cell in enumerate(cells, start=1):
                if not _is_number(cell):
                    return f"{path} line {number}: cell {column} is not a number: {cell!r}"
    return None


def _is_number(cell: str) -> bool:
    try:
        return not math.isnan(float(cell))
    except ValueError:
        return False
