"""Figures of one matching list: accuracy against the size of the gallery."""

import numpy as np
import pandas as pd

from pipeline.evaluation.lists import candidates
from pipeline.evaluation.scoring import Scorer
from pipeline.evaluation.tree import Group, spread
from pipeline.metrics import IdentityResamples, matching_hits, mean_interval
from pipeline.protocol.vocabulary import TASKS
from pipeline.settings import EvaluateSettings


def matching_figures(scorer: Scorer, task: str, probes: pd.DataFrame, settings: EvaluateSettings) -> Group:
    """Accuracy by size of gallery, `{"2": {"accuracy": ...}, ...}`.

    Every size uses the genuine candidate and the first impostors of the same galleries, so that the curve shares its
    probes. Sizes beyond the galleries of the list are absent.
    """
    rows = candidates(probes)  # (P, G), the genuine one first
    scores = scorer.galleries(TASKS[task].sides, probes["probe_row"].to_numpy(), rows)  # (S, P, G)
    codes = pd.factorize(probes["probe_identity"], sort=True)[0]
    draws = IdentityResamples(codes, settings.bootstrap, settings.seed) if settings.bootstrap else None
    figures: Group = {}
    for size in (size for size in settings.matching_sizes if size <= rows.shape[1]):
        hits = np.array([matching_hits(model[:, 0], model[:, 1:], size) for model in scores])  # (S, P)
        bounds = mean_interval(hits, codes, draws, settings.confidence) if draws else None
        figures[str(size)] = spread("accuracy", [float(100.0 * row.mean()) for row in hits], bounds)
    return figures | {"probes": len(probes), "identities": len(np.unique(codes))} if figures else figures
