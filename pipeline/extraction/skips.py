"""Items that could not be used: written down with their reason, and too many of them stop the run."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from pipeline.errors import ExtractionError, first_of
from pipeline.files import atomic_path

_SHOWN = 5


@dataclass(frozen=True)
class Skip:
    """One item that a stage could not use, and why."""

    item: str
    stage: str
    reason: str


def write_skips(path: Path, skips: Sequence[Skip]) -> None:
    """Write skipped.csv (item, stage, reason), sorted by item; a file with a header only where nothing was skipped."""
    rows = sorted(skips, key=lambda skip: (skip.item, skip.stage))
    with atomic_path(path) as temporary:
        pd.DataFrame([asdict(row) for row in rows], columns=["item", "stage", "reason"]).to_csv(temporary, index=False)


def read_skips(path: Path) -> list[Skip]:
    """Read what write_skips wrote."""
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    return [Skip(row.item, row.stage, row.reason) for row in table.itertuples(index=False)]


def refuse_too_many(stage: str, skips: Sequence[Skip], attempted: int, allowed: float, written: Path) -> None:
    """Raise ExtractionError when a larger share than `allowed` (0 to 1) of the attempted items was skipped."""
    if attempted == 0 or len(skips) / attempted <= allowed:
        return
    shown = "\n  ".join(first_of([f"{skip.item}: {skip.reason}" for skip in skips], _SHOWN, f"more in {written}"))
    raise ExtractionError(
        f"{stage}: {len(skips)} of {attempted} items were skipped, more than "
        f"{stage}.max_skip_ratio = {allowed:g} allows:\n  {shown}\n"
        f"Mend or remove these items, or raise {stage}.max_skip_ratio in params.yaml."
    )
