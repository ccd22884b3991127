"""The test lists of a protocol, checked against the stores whose rows they name."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.errors import ProtocolError
from pipeline.protocol import ProtocolTables
from pipeline.protocol.parity import parity_lists
from pipeline.protocol.vocabulary import REGIMES, TASKS
from pipeline.store import Store

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Lists:
    """Trials and galleries of the test subset, in the order of their source."""

    verification: pd.DataFrame
    matching: pd.DataFrame
    matching_released: pd.DataFrame  # 1:2, by criterion; empty unless the protocol was imported
    unnamed: frozenset[str] = frozenset()  # of protocol.summary.parity_lists

    def names_people(self, regime: str, criterion: str) -> bool:
        """Whether the identities of a cross-modal list are people, not made up for each trial."""
        return f"{criterion}_{REGIMES[regime].run_together}" not in self.unnamed

    def trials(self) -> Iterator[tuple[tuple[str, str, str], pd.DataFrame]]:
        """Each verification list as ((regime, task, criterion), trials), names in order."""
        for key, trials in self.verification.groupby(["regime", "task", "criterion"], sort=True, observed=True):
            yield (str(key[0]), str(key[1]), str(key[2])), trials

    def galleries(self) -> Iterator[tuple[tuple[str, ...], pd.DataFrame]]:
        """Each matching list as (names, probes): regime, "matching" or "matching_released", task, criterion if any."""
        for (regime, task), probes in self.matching.groupby(["regime", "task"], sort=True, observed=True):
            yield (str(regime), "matching", str(task)), probes
        released = self.matching_released.groupby(["regime", "task", "criterion"], sort=True, observed=True)
        for (regime, task, criterion), probes in released:
            yield (str(regime), "matching_released", str(task), str(criterion)), probes


def lists_of(tables: ProtocolTables, faces: Store, voices: Store) -> Lists:
    """The test lists of a protocol, checked against the stores.

    Raises ProtocolError for a row that names an embedding which is not there or is another person's than the list says:
    the protocol was then written for other stores.
    """
    parts = (tables.verification, tables.matching, tables.matching_released)
    verification, matching, released = (table[table["subset"] == "test"].reset_index(drop=True) for table in parts)
    lists = Lists(verification, matching, released, frozenset(parity_lists(tables.summary)))
    stores = {"face": faces, "voice": voices}
    for (_, task, _), trials in lists.trials():
        for side, modality in zip(("left", "right"), TASKS[task].sides, strict=True):
            _check(trials, f"{side}_row", f"{side}_identity", stores[modality], f"verification, {task}")
    for (_, kind, task, *_), probes in lists.galleries():
        left, right = (stores[modality] for modality in TASKS[task].sides)
        _check(probes, "probe_row", "probe_identity", left, f"{kind}, {task}")
        _check(probes, "genuine_row", "probe_identity", right, f"{kind}, {task}")
        _check(_flat(probes), "impostor_rows", None, right, f"{kind}, {task}")
    return lists


def candidates(probes: pd.DataFrame) -> Rows:
    """Rows (P, G) of the galleries, genuine candidate first; raises ProtocolError for galleries of unequal size."""
    sizes = probes["impostor_rows"].map(len)
    odd = sizes.index[(sizes != sizes.iloc[0]) | (sizes < 1)]
    if len(odd):
        raise ProtocolError(
            f"matching: row {odd[0]} holds {sizes[odd[0]]} impostors, row {sizes.index[0]} {sizes.iloc[0]}; "
            "galleries of one list must be of one size, at least one impostor each"
        )
    impostors = np.stack(probes["impostor_rows"].to_list()).astype(np.int64)
    return np.column_stack([probes["genuine_row"].to_numpy(dtype=np.int64), impostors])


def _flat(probes: pd.DataFrame) -> pd.DataFrame:
    """One row an impostor, under the index of its probe."""
    impostors = candidates(probes)[:, 1:]
    return pd.DataFrame({"impostor_rows": impostors.reshape(-1)}, index=np.repeat(probes.index, impostors.shape[1]))


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
