"""The tables of a protocol, their columns and their files: what training, evaluation and report read.

`artifacts/protocol` holds a parquet file a table, coverage.csv and summary.json; equal tables give equal bytes.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pyarrow import ArrowException

from pipeline.errors import ProtocolError
from pipeline.files import atomic_path, write_text

RowIndex = NDArray[np.int64]  # rows of a packed store

IDENTITIES = {
    "identity": "str",
    "split": "str",  # train | validation | test
    "class_index": "int64",  # 0..C-1 for identities that train, -1 for all others
    "gender": "str",
    "nationality": "str",
    "age": "Float64",  # years
}
TRAIN_PAIRS = {
    "face_row": "int64",
    "voice_row": "int64",
    "class_index": "int64",
    "language": "str",  # that both recordings are in; empty where it is unknown, or where they are in two
}
VERIFICATION = {
    "subset": "str",  # validation | test
    "regime": "str",  # vocabulary.REGIMES
    "task": "str",  # vocabulary.VERIFICATION_TASKS
    "criterion": "str",  # vocabulary.CRITERIA
    "left_row": "int64",
    "right_row": "int64",
    "label": "int64",  # 1 same person, 0 not
    "left_identity": "str",
    "right_identity": "str",
    "position": "int64",  # row of the source list, from 0; the official code takes even ones for genuine
}
MATCHING = {
    "subset": "str",
    "regime": "str",
    "task": "str",  # vocabulary.MATCHING_TASKS
    "probe_row": "int64",
    "probe_identity": "str",
    "genuine_row": "int64",
    "impostor_rows": "object",  # row numbers of as many other identities; 1:N takes the first N - 1
}
MATCHING_RELEASED = {**MATCHING, "criterion": "str", "position": "int64"}  # 1:2, vocabulary.RELEASED_MATCHING
CHALLENGE = {  # voice against face within one language, of sources that know languages; see sources/mavceleb_lists.py
    "origin": "str",  # own: generated from people whom the lists train on; released: the challenge's test lists
    "subset": "str",  # validation | test
    "language": "str",  # of both recordings
    "track": "str",  # vocabulary.CHALLENGE_TRACKS
    "key": "str",  # of a released trial; empty for own ones
    "left_row": "int64",  # row of the voice store; -1: a released trial whose medium is not in the store
    "right_row": "int64",  # of the face store
    "label": "Int64",  # 1 same person, 0 not; null: withheld
    "left_identity": "str",
    "right_identity": "str",
    "position": "int64",  # row of its list, from 0
}
COVERAGE = {
    "list": "str",
    "rows": "int64",  # asked for, or in the released list
    "used": "int64",
    "missing_items": "int64",
    "mismatched": "Int64",  # impostors who differ in what the list says they share; null: nothing asked, or known
    "reason": "str",
}

SCHEMAS: Mapping[str, Mapping[str, str]] = {
    "identities": IDENTITIES,
    "train_pairs": TRAIN_PAIRS,
    "verification": VERIFICATION,
    "matching": MATCHING,
    "matching_released": MATCHING_RELEASED,
    "challenge": CHALLENGE,
    "coverage": COVERAGE,
}

_PARQUET = [name for name in SCHEMAS if name != "coverage"]
_NULLS = {"mismatched": [""]}  # the one column of coverage.csv that may be empty


@dataclass(frozen=True)
class CoveredList:
    """A list of the protocol and what coverage.csv says of it."""

    table: pd.DataFrame
    name: str  # such as verification/test/unseen_unheard/cross_modal/G: the table's name comes first
    rows: int  # wanted
    reason: str  # why it is absent, or what to know about it
    missing_items: int = 0  # media that a released list names and the stores do not hold

    def coverage_row(self, mismatched: int | None) -> dict[str, object]:
        """Its row of coverage.csv; `mismatched` impostors differ in what they should share."""
        row = {"list": self.name, "rows": self.rows, "used": len(self.table), "missing_items": self.missing_items}
        return {**row, "mismatched": mismatched, "reason": self.reason}


@dataclass(frozen=True)
class ProtocolTables:
    """One protocol: row numbers point into the packed face and voice stores it was made for."""

    identities: pd.DataFrame
    train_pairs: pd.DataFrame
    verification: pd.DataFrame
    matching: pd.DataFrame
    matching_released: pd.DataFrame  # empty unless the lists were imported
    coverage: pd.DataFrame
    summary: Mapping[str, object]
    challenge: pd.DataFrame = field(default_factory=lambda: shaped("challenge"))  # empty unless lists of MAV-Celeb

    @property
    def classes(self) -> int:
        """Number of identities that train."""
        return int(self.identities["class_index"].max()) + 1 if len(self.identities) else 0

    def trials(self, subset: str, regime: str, task: str, criterion: str) -> pd.DataFrame:
        """One verification list in its order; an empty table where the protocol has no such list."""
        table = self.verification
        chosen = (table["subset"] == subset) & (table["regime"] == regime)
        chosen &= (table["task"] == task) & (table["criterion"] == criterion)
        return table[chosen].reset_index(drop=True)


def shaped(name: str, table: pd.DataFrame | None = None) -> pd.DataFrame:
    """The table with exactly the columns and types of its schema; an empty one where there is nothing to hold."""
    schema = SCHEMAS[name]
    if table is None:
        table = pd.DataFrame({column: [] for column in schema})
    typed = table.loc[:, list(schema)].astype({column: kind for column, kind in schema.items() if kind != "object"})
    return typed.reset_index(drop=True)


def stacked(name: str, parts: list[pd.DataFrame]) -> pd.DataFrame:
    """Parts below one another in the table's schema."""
    return shaped(name, pd.concat(parts, ignore_index=True) if parts else None)


def write_protocol(folder: Path, tables: ProtocolTables) -> None:
    """Write every file of the protocol, each whole or not at all."""
    for name in _PARQUET:
        with atomic_path(folder / f"{name}.parquet") as temporary:
            shaped(name, getattr(tables, name)).to_parquet(temporary, index=False)
    with atomic_path(folder / "coverage.csv") as temporary:
        shaped("coverage", tables.coverage).to_csv(temporary, index=False, lineterminator="\n")
    write_text(folder / "summary.json", json.dumps(dict(tables.summary), indent=2, sort_keys=True) + "\n")


def read_protocol(folder: Path) -> ProtocolTables:
    """Read what write_protocol wrote; raises ProtocolError for a file that is absent, damaged or lacks a column."""
    try:
        tables = {name: pd.read_parquet(folder / f"{name}.parquet") for name in _PARQUET}
        tables["coverage"] = pd.read_csv(folder / "coverage.csv", keep_default_na=False, na_values=_NULLS)
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, ArrowException) as error:
        raise ProtocolError(f"{folder}: protocol cannot be read ({error}); run `dvc repro protocol`") from error
    for name, table in tables.items():
        if missing := [column for column in SCHEMAS[name] if column not in table]:
            raise ProtocolError(f"{folder}/{name}: no column {', '.join(missing)}; run `dvc repro protocol`")
    return ProtocolTables(**{name: shaped(name, table) for name, table in tables.items()}, summary=summary)


VALIDATION_OF_LABELS = "validation_of_labels"  # of a summary: training labels of feature files kept to choose on


def parity_lists(summary: Mapping[str, object]) -> list[str]:
    """Lists such as "random_unseenunheard" whose labels are by row parity, because no released list names their people.

    Their identities were made up trial by trial (sources/feature_files.py), so that a count of them says nothing.
    """
    names = summary.get("parity_lists", [])
    return [str(name) for name in names] if isinstance(names, list) else []
