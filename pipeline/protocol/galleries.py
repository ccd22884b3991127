"""Matching galleries: for each probe its own person and impostors, as many as the largest gallery holds."""

import numpy as np
import pandas as pd

from pipeline.protocol.corpus import Corpus, IntArray
from pipeline.protocol.pairs import ClipRule, Pairs, Pool, genuine_pairs
from pipeline.protocol.rng import named_rng
from pipeline.protocol.tables import CoveredList, shaped
from pipeline.protocol.trials import TrialCondition, trial_units
from pipeline.protocol.vocabulary import MATCHING_TASKS, Task
from pipeline.settings import ProtocolSettings


def matching_lists(corpus: Corpus, condition: TrialCondition, settings: ProtocolSettings) -> list[CoveredList]:
    """The four directions of matching."""
    return [matching_list(corpus, condition, task, settings) for task in MATCHING_TASKS.values()]


def matching_list(corpus: Corpus, condition: TrialCondition, task: Task, settings: ProtocolSettings) -> CoveredList:
    """Generate one direction, probes balanced over people; impostors are of other people, each of another one.

    Where there are fewer people than `gallery_size`, galleries hold all of them and coverage says so.
    """
    name = f"matching/{condition.subset}/{condition.regime.name}/{task.name}"
    probes, gallery = condition.pools(corpus, task, trial_units(corpus), settings)
    able = np.flatnonzero((probes.counts > 0) & (gallery.counts > 0))
    size = min(settings.gallery_size, len(able))
    if size < 2:
        reason = f"absent: {len(able)} identities have rows for it; two are needed"
        return CoveredList(shaped("matching"), name, settings.galleries, reason)
    rng = named_rng(settings.seed, name)
    rule: ClipRule = "rather_other" if task.is_cross_modal else "other"
    pairs = genuine_pairs(probes, gallery, rng.permutation(able), settings.galleries, rule)
    if not len(pairs):
        reason = "absent: no identity has rows from two recordings"
        return CoveredList(shaped("matching"), name, settings.galleries, reason)
    if not task.is_cross_modal:
        pairs = _either_way(pairs, rng)
    impostors = _impostor_rows(gallery, able, pairs.left_owner, size - 1, rng)
    table = _table(corpus, pairs, impostors)
    table = table.assign(subset=condition.subset, regime=condition.regime.name, task=task.name)
    limit = "" if size == settings.gallery_size else f"; galleries of {size}, because there are no more identities"
    reason = f"{len(np.unique(pairs.left_owner))} identities{limit}"
    return CoveredList(shaped("matching", table), name, settings.galleries, reason)


def _table(corpus: Corpus, pairs: Pairs, impostors: IntArray) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "probe_row": pairs.left_row,
            "probe_identity": corpus.people["identity"].to_numpy(dtype=object)[pairs.left_owner],
            "genuine_row": pairs.right_row,
            "impostor_rows": list(impostors),
        }
    )


def _either_way(pairs: Pairs, rng: np.random.Generator) -> Pairs:
    """Unordered pairs, half of them swapped at random, so that no row is always the probe."""
    swapped = rng.random(len(pairs)) < 0.5
    left = np.where(swapped, pairs.right_row, pairs.left_row)
    right = np.where(swapped, pairs.left_row, pairs.right_row)
    return Pairs(left, right, pairs.left_owner, pairs.right_owner)


def _impostor_rows(gallery: Pool, able: IntArray, probes: IntArray, count: int, rng: np.random.Generator) -> IntArray:
    """(n, count) rows: a random row of each of `count` random people other than the probe's."""
    keys = rng.random((len(probes), len(able)))
    keys[np.arange(len(probes)), np.searchsorted(able, probes)] = np.inf  # one's own person comes last
    people = able[np.argsort(keys, axis=1, kind="stable")[:, :count]]
    picked = np.floor(rng.random(people.shape) * gallery.counts[people]).astype(np.int64)
    return np.asarray(gallery.rows[gallery.starts[people] + picked])
