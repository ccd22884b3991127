"""The test lists of a protocol, checked against the stores that their rows point into."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.errors import ProtocolError
from pipeline.protocol import ProtocolTables
from pipeline.protocol.checks import check_fits
from pipeline.protocol.tables import RowIndex, parity_lists
from pipeline.protocol.vocabulary import REGIMES, Modality
from pipeline.store import Store


@dataclass(frozen=True)
class Lists:
    """Trials and galleries of the test subset, in the order of their source."""

    verification: pd.DataFrame
    matching: pd.DataFrame
    matching_released: pd.DataFrame  # 1:2, by criterion; empty unless the protocol was imported
    unnamed: frozenset[str] = frozenset()  # protocol.tables.parity_lists

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
    """The test lists of a protocol.

    Raises ProtocolError for a row that names an embedding which is not there or is of another person than the list
    says: the protocol was then written for other stores.
    """
    owners: dict[Modality, np.ndarray] = {
        "face": faces.index["identity"].to_numpy(dtype=object),
        "voice": voices.index["identity"].to_numpy(dtype=object),
    }
    check_fits(tables, {modality: len(names) for modality, names in owners.items()}, owners)
    parts = (tables.verification, tables.matching, tables.matching_released)
    verification, matching, released = (table[table["subset"] == "test"].reset_index(drop=True) for table in parts)
    lists = Lists(verification, matching, released, frozenset(parity_lists(tables.summary)))
    for _, probes in lists.galleries():
        candidates(probes)  # raises where they are of unequal size
    return lists


def candidates(probes: pd.DataFrame) -> RowIndex:
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
