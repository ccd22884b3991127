"""The tables of a protocol and their columns: what training, evaluation and report read."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

IDENTITIES = {
    "identity": "str",
    "split": "str",  # train | validation | test
    "class_index": "int64",  # 0..C-1 for identities that train, -1 for all others
    "gender": "str",
    "nationality": "str",
    "age": "Float64",  # years
}
TRAIN_PAIRS = {"face_row": "int64", "voice_row": "int64", "class_index": "int64"}
VERIFICATION = {
    "subset": "str",  # validation | test
    "regime": "str",  # unseen_unheard | seen_heard
    "task": "str",  # cross_modal (left: voice row, right: face row) | face | voice
    "criterion": "str",  # what impostors share with the person: random (nothing) | G | N | A | GNA
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
    "task": "str",  # f2v | v2f | f2f | v2v, the probe's modality first
    "probe_row": "int64",
    "probe_identity": "str",
    "genuine_row": "int64",
    "impostor_rows": "object",  # row numbers of as many other identities; 1:N takes the first N - 1
}
MATCHING_RELEASED = {**MATCHING, "criterion": "str", "position": "int64"}  # the released 1:2 lists: U | G | N | GN
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
    "coverage": COVERAGE,
}


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

    def galleries(self, subset: str, regime: str, task: str) -> pd.DataFrame:
        """One direction of matching; an empty table where the protocol has none."""
        table = self.matching
        chosen = (table["subset"] == subset) & (table["regime"] == regime) & (table["task"] == task)
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
