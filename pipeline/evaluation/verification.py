"""Figures of one verification list."""

import numpy as np
import pandas as pd

from pipeline.evaluation.scoring import Matrix
from pipeline.evaluation.tree import Group, rounded, spread
from pipeline.metrics import (
    IdentityResamples,
    VerificationIntervals,
    auc_of,
    eer_of,
    min_dcf_of,
    official_rates,
    roc_curve,
    verification_intervals,
)
from pipeline.settings import EvaluateSettings


def verification_figures(scores: Matrix, trials: pd.DataFrame, settings: EvaluateSettings) -> Group:
    """EER, AUC, minDCF and their intervals from scores (S, N) on a list of N trials.

    With `rates: official_grid`, EER and AUC are the official code's and the exact ones stand beside them; the
    intervals are of the exact rates always. Raises ScoreError for scores that are not finite.
    """
    labels = trials["label"].to_numpy()
    curves = [roc_curve(row, labels) for row in scores]
    exact = [eer_of(curve) for curve in curves], [auc_of(curve) for curve in curves]
    bounds = _intervals(scores, trials, settings)
    eer, auc, cost = (bounds.eer, bounds.auc, bounds.min_dcf) if bounds else (None, None, None)
    figures: Group = {}
    if settings.rates == "official_grid":
        grid = [official_rates(-row, labels) for row in scores]
        figures |= spread("eer", [rates.eer for rates in grid], eer)
        figures |= spread("auc", [rates.auc for rates in grid], auc)
        figures |= spread("accuracy", [rates.accuracy for rates in grid])
        figures |= spread("eer_exact", exact[0]) | spread("auc_exact", exact[1])
    else:
        figures |= spread("eer", exact[0], eer) | spread("auc", exact[1], auc)
    figures |= spread("min_dcf", [min_dcf_of(curve, settings.dcf_target) for curve in curves], cost)
    people = set(trials["left_identity"]) | set(trials["right_identity"])
    return figures | {"trials": len(trials), "genuine": int((labels == 1).sum()), "identities": len(people)}


def parity_figures(scores: Matrix, trials: pd.DataFrame) -> Group:
    """What the official code would report: labels from the parity of a trial's row in its source, even meaning the
    same.

    Empty where parity and the list's column agree, or where parity leaves one kind of trial only.
    """
    labels = trials["label"].to_numpy()
    parity = (trials["position"].to_numpy() % 2 == 0).astype(np.int64)
    differing = float(100.0 * np.mean(parity != labels))
    if differing == 0.0 or len(set(parity)) < 2:
        return {}
    curves = [roc_curve(row, parity) for row in scores]
    figures = spread("auc", [auc_of(curve) for curve in curves]) | spread("eer", [eer_of(curve) for curve in curves])
    return figures | {"labels_differing": rounded(differing)}


def _intervals(scores: Matrix, trials: pd.DataFrame, settings: EvaluateSettings) -> VerificationIntervals | None:
    if not settings.bootstrap:
        return None
    people = pd.concat([trials["left_identity"], trials["right_identity"]])
    codes = pd.factorize(people, sort=True)[0]  # numbers: comparing names a thousand times costs more than the rates
    left, right = codes[: len(trials)], codes[len(trials) :]
    resamples = IdentityResamples(codes, settings.bootstrap, settings.seed)
    labels = trials["label"].to_numpy()
    return verification_intervals(scores, labels, left, right, resamples, settings.confidence, settings.dcf_target)
