"""Matching: a probe, its own person and others, one gallery of the largest size per probe."""

import numpy as np
import pandas as pd

from pipeline.protocol.chance import generator
from pipeline.protocol.corpus import Codes, Corpus
from pipeline.protocol.genuine import ClipRule, Pairs, genuine_pairs
from pipeline.protocol.pools import Pool
from pipeline.protocol.tables import shaped
from pipeline.protocol.trials import Drawn, Scene
from pipeline.protocol.vocabulary import CROSS_MODAL, VERIFICATION_TASKS, Task
from pipeline.settings import ProtocolSettings


def matching_list(corpus: Corpus, scene: Scene, task: Task, settings: ProtocolSettings) -> Drawn:
    """Draw one direction, probes balanced over people; impostors are of other people, each of another one.

    Where there are fewer people than `gallery_size`, galleries hold all of them and coverage says so.
    """
    name = f"matching/{scene.subset}/{scene.regime.name}/{task.name}"
    probes, gallery = _pools(corpus, scene, task, settings)
    able = np.flatnonzero((probes.counts > 0) & (gallery.counts > 0))
    size = min(settings.gallery_size, len(able))
    if size < 2:
        reason = f"absent: {len(able)} identities have rows for it; two are needed"
        return Drawn(shaped("matching"), name, settings.galleries, reason)
    chance = generator(settings.seed, name)
    rule: ClipRule = "other" if probes is gallery else "rather_other"
    pairs = genuine_pairs(probes, gallery, chance.permutation(able), settings.galleries, rule)
    if not len(pairs):
        reason = "absent: no identity has rows from two recordings"
        return Drawn(shaped("matching"), name, settings.galleries, reason)
    if probes is gallery:
        pairs = _either_way(pairs, chance)
    impostors = _impostor_rows(gallery, able, pairs.left_person, size - 1, chance)
    table = _table(corpus, pairs, impostors).assign(subset=scene.subset, regime=scene.regime.name, task=task.name)
    limit = "" if size == settings.gallery_size else f"; galleries of {size}, because there are no more identities"
    reason = f"{len(np.unique(pairs.left_person))} identities{limit}"
    return Drawn(shaped("matching", table), name, settings.galleries, reason)


def _table(corpus: Corpus, pairs: Pairs, impostors: Codes) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "probe_row": pairs.left_row,
            "probe_identity": corpus.people["identity"].to_numpy(dtype=object)[pairs.left_person],
            "genuine_row": pairs.right_row,
            "impostor_rows": list(impostors),
        }
    )


def _pools(corpus: Corpus, scene: Scene, task: Task, settings: ProtocolSettings) -> tuple[Pool, Pool]:
    if not task.is_cross_modal:
        return scene.pools(corpus, VERIFICATION_TASKS[task.left], settings)
    voices, faces = scene.pools(corpus, CROSS_MODAL, settings)
    return (voices, faces) if task.left == "voice" else (faces, voices)


def _either_way(pairs: Pairs, chance: np.random.Generator) -> Pairs:
    """Unordered pairs, turned at random, so that no row is always the probe."""
    turned = chance.random(len(pairs)) < 0.5
    left = np.where(turned, pairs.right_row, pairs.left_row)
    right = np.where(turned, pairs.left_row, pairs.right_row)
    return Pairs(left, right, pairs.left_person, pairs.right_person)


def _impostor_rows(gallery: Pool, able: Codes, probes: Codes, count: int, chance: np.random.Generator) -> Codes:
    """(n, count) rows: a random row of each of `count` random people other than the probe's."""
    keys = chance.random((len(probes), len(able)))
    keys[np.arange(len(probes)), np.searchsorted(able, probes)] = np.inf  # one's own person comes last
    people = able[np.argsort(keys, axis=1, kind="stable")[:, :count]]
    picked = np.floor(chance.random(people.shape) * gallery.counts[people]).astype(np.int64)
    return np.asarray(gallery.rows[gallery.starts[people] + picked])
