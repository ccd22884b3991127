"""A protocol's files for twelve people, as far as training reads them."""

from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.protocol import ProtocolTables, write_protocol
from pipeline.protocol.tables import shaped

PEOPLE, FACES_EACH, VOICES_EACH = 12, 4, 3
FACES, VOICES = PEOPLE * FACES_EACH, PEOPLE * VOICES_EACH
SPLITS = ["train"] * 4 + ["validation"] * 4 + ["test"] * 4


def tables() -> dict[str, pd.DataFrame]:
    """identities, train_pairs and verification: people p0 to p3 train, p4 to p7 validate, p8 to p11 test."""
    rng = np.random.default_rng(0)
    names = [f"p{number}" for number in range(PEOPLE)]
    identities = pd.DataFrame({"identity": names, "split": SPLITS, "class_index": [0, 1, 2, 3] + [-1] * 8})
    identities = identities.assign(gender=None, nationality=None, age=None)
    classes = np.repeat(np.arange(4), 8)
    pairs = pd.DataFrame(
        {
            "language": "",
            "face_row": classes * FACES_EACH + rng.integers(0, FACES_EACH, len(classes)),
            "voice_row": classes * VOICES_EACH + rng.integers(0, VOICES_EACH, len(classes)),
            "class_index": classes,
        }
    )
    lists = [
        _trials(rng, subset, first, task, criterion)
        for subset, first in (("validation", 4), ("test", 8))
        for task in ("cross_modal", "face", "voice")
        for criterion in ("random", "G")
    ]
    return {"identities": identities, "train_pairs": pairs, "verification": pd.concat(lists, ignore_index=True)}


def _trials(rng: np.random.Generator, subset: str, first: int, task: str, criterion: str) -> pd.DataFrame:
    labels = np.tile([1, 0], 10)
    left = rng.integers(0, 4, len(labels))
    right = np.where(labels == 1, left, (left + rng.integers(1, 4, len(labels))) % 4)
    each = {"face": FACES_EACH, "voice": VOICES_EACH}
    sides = {"cross_modal": ("voice", "face"), "face": ("face", "face"), "voice": ("voice", "voice")}[task]
    columns: dict[str, object] = {"subset": subset, "regime": "unseen_unheard", "task": task, "criterion": criterion}
    for name, side, people in (("left", sides[0], left + first), ("right", sides[1], right + first)):
        columns[f"{name}_row"] = people * each[side] + rng.integers(0, each[side], len(people))
        columns[f"{name}_identity"] = [f"p{person}" for person in people]
    return pd.DataFrame({**columns, "label": labels, "position": np.arange(len(labels))})


def write(folder: Path, parts: dict[str, pd.DataFrame]) -> None:
    """The protocol of these tables, the others empty."""
    others = {name: shaped(name) for name in ("matching", "matching_released", "coverage")}
    write_protocol(folder, ProtocolTables(**{**others, **parts}, summary={}))
