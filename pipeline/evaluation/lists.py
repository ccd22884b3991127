"""The test lists of a protocol, checked against the stores whose rows they name."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.errors import ProtocolError
from pipeline.store import Store

VERIFICATION, MATCHING = "verification.parquet", "matching.parquet"
UNSEEN = "unseen_unheard"  # the regime whose figures stand at the top of metrics.json
Rows = NDArray[np.int64]
# task -> modality of the left (probe) and the right (gallery) rows
SIDES = {
    "cross_modal": ("voice", "face"),
    "face": ("face", "face"),
    "voice": ("voice", "voice"),
    "f2v": ("face", "voice"),
    "v2f": ("voice", "face"),
    "f2f": ("face", "face"),
    "v2v": ("voice", "voice"),
}


@dataclass(frozen=True)
class Lists:
    """Trials and galleries of the test subset, in the order of their source."""

    verification: pd.DataFrame  # regime, task, criterion, left_row, right_row, label, left_identity, ..., position
    matching: pd.DataFrame  # regime, task, probe_row, probe_identity, genuine_row, impostor_rows

    def trials(self) -> Iterator[tuple[tuple[str, str, str], pd.DataFrame]]:
        """Each verification list as ((regime, task, criterion), trials), names in order."""
        for key, trials in self.verification.groupby(["regime", "task", "criterion"], sort=True, observed=True):
            yield (str(key[0]), str(key[1]), str(key[2])), trials

    def galleries(self) -> Iterator[tuple[tuple[str, str], pd.DataFrame]]:
        """Each matching list as ((regime, task), probes), names in order."""
        for key, probes in self.matching.groupby(["regime", "task"], sort=True, observed=True):
            yield (str(key[0]), str(key[1])), probes


def read_lists(protocol: Path, faces: Store, voices: Store) -> Lists:
    """Read the test lists of a protocol's folder.

    Raises ProtocolError for absent or damaged tables, and for a row that names an embedding which is not there or is
    another person's than the list says: the protocol was then written for other stores.
    """
    verification, matching = (_read(protocol / name) for name in (VERIFICATION, MATCHING))
    lists = Lists(*(table[table["subset"] == "test"].reset_index(drop=True) for table in (verification, matching)))
    stores = {"face": faces, "voice": voices}
    for task, (left, right) in SIDES.items():
        trials = lists.verification[lists.verification["task"] == task]
        for side, modality in (("left", left), ("right", right)):
            _check(trials, f"{side}_row", f"{side}_identity", stores[modality], f"{VERIFICATION}, {task}")
        probes = lists.matching[lists.matching["task"] == task]
        where = f"{MATCHING}, {task}"
        _check(probes, "probe_row", "probe_identity", stores[left], where)
        _check(probes, "genuine_row", "probe_identity", stores[right], where)
        if len(probes):
            _check(_flat(probes), "impostor_rows", None, stores[right], where)
    return lists


def candidates(probes: pd.DataFrame) -> Rows:
    """Rows (P, G) of the galleries, genuine candidate first; raises ProtocolError for galleries of unequal size."""
    sizes = probes["impostor_rows"].map(len)
    odd = sizes.index[(sizes != sizes.iloc[0]) | (sizes < 1)]
    if len(odd):
        raise ProtocolError(
            f"{MATCHING}: row {odd[0]} holds {sizes[odd[0]]} impostors, row {sizes.index[0]} {sizes.iloc[0]}; "
            "galleries of one list must be of one size, at least one impostor each"
        )
    impostors = np.stack(probes["impostor_rows"].to_list()).astype(np.int64)
    return np.column_stack([probes["genuine_row"].to_numpy(dtype=np.int64), impostors])


def _flat(probes: pd.DataFrame) -> pd.DataFrame:
    """One row an impostor, under the index of its probe."""
    impostors = candidates(probes)[:, 1:]
    return pd.DataFrame({"impostor_rows": impostors.reshape(-1)}, index=np.repeat(probes.index, impostors.shape[1]))


def _read(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise ProtocolError(f"{path} cannot be read ({error}); run `dvc repro protocol` again") from error


def _check(table: pd.DataFrame, column: str, identity: str | None, store: Store, where: str) -> None:
    """Refuse rows of `column` outside the store or, where `identity` names a column, of somebody else."""
    rows = table[column].to_numpy(dtype=np.int64)
    absent = np.flatnonzero((rows < 0) | (rows >= len(store.index)))
    if len(absent):
        raise ProtocolError(
            f"{where}: row {table.index[absent[0]]} names embedding {rows[absent[0]]} as {column}, but the store holds "
            f"{len(store.index)}; run `dvc repro protocol` again"
        )
    if identity is None or not len(rows):
        return
    named, held = table[identity].to_numpy(dtype=object), store.index["identity"].to_numpy(dtype=object)[rows]
    wrong = np.flatnonzero(named != held)
    if len(wrong):
        first = wrong[0]
        raise ProtocolError(
            f"{where}: row {table.index[first]} says that {column} {rows[first]} is {named[first]!r}, but the store "
            f"holds {held[first]!r} there; run `dvc repro protocol` again"
        )
