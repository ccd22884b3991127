"""Rows to draw from, grouped by person and shuffled within each, and how many each person may give."""

from dataclasses import dataclass

import numpy as np

from pipeline.protocol.corpus import Codes, Flags, Rows


@dataclass(frozen=True)
class Pool:
    """Rows of one modality that may be used for one list; person p owns positions starts[p] to starts[p + 1]."""

    rows: Codes  # (n,) rows of the store, by person, in random order within a person
    clips: Codes  # (n,) their recordings
    starts: Codes  # (P + 1,)

    @property
    def counts(self) -> Codes:
        """(P,) rows of each person."""
        return np.diff(self.starts)

    def of(self, person: int) -> slice:
        """Positions of one person."""
        return slice(int(self.starts[person]), int(self.starts[person + 1]))


def pool(rows: Rows, usable: Flags, people: int, chance: np.random.Generator) -> Pool:
    """Group the usable (N,) rows of a store by person, shuffled by `chance`."""
    chosen = np.flatnonzero(usable)
    order = np.lexsort((chance.random(len(chosen)), rows.person[chosen]))
    chosen = chosen[order]
    counts = np.bincount(rows.person[chosen], minlength=people)
    return Pool(chosen, rows.clip[chosen], np.concatenate([[0], np.cumsum(counts)]).astype(np.int64))


def level(capacities: Codes, total: int) -> Codes:
    """How many each gives so that together they give at least `total` (or all they have), nobody more than needed.

    Everybody gives the same number, except those who have fewer.
    """
    ordered = np.sort(capacities)
    owed = np.cumsum(ordered) + ordered * np.arange(len(ordered) - 1, -1, -1)  # given when the level is ordered[i]
    short = int(np.searchsorted(owed, total))
    if short == len(ordered):
        return capacities.copy()
    below = int(ordered[:short].sum())
    height = -(-(total - below) // (len(ordered) - short))
    return np.minimum(capacities, height)
