"""Figures of one list, with intervals, as metrics.json nests them: verification, matching, retrieval; and curves.

A figure over S models becomes neighbouring keys: mean, deviation and bounds. Curves are for `dvc plots` and the report:
a fixed set of columns, thinned, averaged over the models of a run.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from pipeline.evaluation.lists import TrialScorer, candidates
from pipeline.metrics import (
    IdentityResamples,
    Interval,
    RetrievalRates,
    actual_dcf,
    auc_of,
    cllr,
    eer_of,
    least_cllr_interval,
    matching_hits,
    mean_interval,
    min_cllr,
    min_dcf_of,
    official_rates,
    ratio_intervals,
    retrieval_rates,
    roc_curve,
    verification_intervals,
    within_grid,
)
from pipeline.metrics.rates import Floats
from pipeline.protocol.judged import learnt_tasks
from pipeline.protocol.tables import RowIndex
from pipeline.protocol.vocabulary import F2V, MATCHING_TASKS, TASKS, V2F
from pipeline.scoring.similarity import Matrix
from pipeline.settings import EvaluateSettings

Metrics = dict[str, "Metrics | float | int | str"]  # nested, as metrics.json holds them
_Resampled = tuple[np.ndarray, np.ndarray, IdentityResamples]  # left and right person of each trial, and resamples

_DECIMALS = 6  # of the numbers in metrics.json: beyond what any figure can know


def verification_figures(
    scores: Matrix, trials: pd.DataFrame, settings: EvaluateSettings, ratios: Floats | None = None
) -> Metrics:
    """EER, AUC, minDCF and minimum Cllr of scores (S, N) on a list of N trials, and their intervals.

    With log-likelihood ratios (S, N) of the scores, Cllr and the actual DCF beside their minima. With `rates:
    official_grid`, EER and AUC are the official code's and the exact ones are added beside them; the intervals are of
    the exact rates always, and so is all of a list whose scores lie beyond the distances of unit vectors. Raises
    ScoreError for scores that are not finite.
    """
    labels = trials["label"].to_numpy()
    curves = [roc_curve(row, labels) for row in scores]
    exact = [eer_of(curve) for curve in curves], [auc_of(curve) for curve in curves]
    resampled = _resampled(trials, settings)
    wanted = settings.confidence, settings.dcf_target
    bounds = verification_intervals(scores, labels, *resampled, *wanted) if resampled else None
    eer, auc, cost = (bounds.eer, bounds.auc, bounds.min_dcf) if bounds else (None, None, None)
    figures: Metrics = {}
    if settings.rates == "official_grid" and within_grid(-scores):
        official = [official_rates(-row, labels) for row in scores]
        figures |= _over_models("eer", [rates.eer for rates in official], eer)
        figures |= _over_models("auc", [rates.auc for rates in official], auc)
        figures |= _over_models("accuracy", [rates.accuracy for rates in official])
        figures |= _over_models("eer_exact", exact[0]) | _over_models("auc_exact", exact[1])
    else:
        figures |= _over_models("eer", exact[0], eer) | _over_models("auc", exact[1], auc)
    figures |= _over_models("min_dcf", [min_dcf_of(curve, settings.dcf_target) for curve in curves], cost)
    least = least_cllr_interval(scores, labels, *resampled, settings.confidence) if resampled else None
    figures |= _over_models("min_cllr", [min_cllr(row, labels) for row in scores], least)
    if ratios is not None:
        figures |= _ratio_figures(ratios, labels, settings, resampled)
    people = set(trials["left_identity"]) | set(trials["right_identity"])
    return figures | {"trials": len(trials), "genuine": int((labels == 1).sum()), "identities": len(people)}


def _ratio_figures(
    ratios: Floats, labels: np.ndarray, settings: EvaluateSettings, resampled: _Resampled | None
) -> Metrics:
    """Cllr of LLRs (S, N) and their actual DCF at the prior of minDCF, with intervals."""
    target = settings.dcf_target
    bounds = ratio_intervals(ratios, labels, *resampled, settings.confidence, target) if resampled else None
    own, cost = (bounds.cllr, bounds.actual_dcf) if bounds else (None, None)
    figures = _over_models("cllr", [cllr(row, labels) for row in ratios], own)
    return figures | _over_models("actual_dcf", [actual_dcf(row, labels, target) for row in ratios], cost)


def parity_figures(scores: Matrix, trials: pd.DataFrame) -> Metrics:
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
    auc, eer = [auc_of(curve) for curve in curves], [eer_of(curve) for curve in curves]
    return _over_models("auc", auc) | _over_models("eer", eer) | {"labels_differing": _rounded(differing)}


def matching_figures(scorer: TrialScorer, task: str, probes: pd.DataFrame, settings: EvaluateSettings) -> Metrics:
    """Accuracy by size of gallery, `{"2": {"accuracy": ...}, ...}`.

    Every size uses the genuine candidate and the first impostors of the same galleries, so that the curve shares its
    probes. Sizes beyond the galleries of the list are absent. A method whose scores compare the candidates of one
    gallery is asked for each size by itself: what a gallery of two does not hold must not decide it.
    """
    rows, sides, probed = candidates(probes), TASKS[task].sides, probes["probe_row"].to_numpy()  # (P, G), genuine first
    whole = None if scorer.model.compares == "galleries" else scorer.galleries(sides, probed, rows)  # (S, P, G)
    codes = pd.factorize(probes["probe_identity"], sort=True)[0]
    resamples = IdentityResamples(codes, settings.bootstrap, settings.seed) if settings.bootstrap else None
    figures: Metrics = {}
    for size in (size for size in settings.matching_sizes if size <= rows.shape[1]):
        scores = scorer.galleries(sides, probed, rows[:, :size]) if whole is None else whole
        hits = np.array([matching_hits(model[:, 0], model[:, 1:], size) for model in scores])  # (S, P)
        bounds = mean_interval(hits, codes, resamples, settings.confidence) if resamples else None
        figures[str(size)] = _over_models("accuracy", [float(100.0 * row.mean()) for row in hits], bounds)
    return figures | {"probes": len(probes), "identities": len(np.unique(codes))} if figures else figures


def retrieval_figures(scorer: TrialScorer, trials: pd.DataFrame, models: int, settings: EvaluateSettings) -> Metrics:
    """R@K and mean average precision, `{"v2f": ..., "f2v": ...}`, over the distinct voices and faces of `trials`.

    Each side is thinned evenly to `settings.retrieval_rows`; queries without their person in the gallery do not count.
    Intervals resample the people of the queries. Empty if no query has its person in the gallery.
    """
    voices, voice_people = _thinned_side(trials, "left", settings.retrieval_rows)
    faces, face_people = _thinned_side(trials, "right", settings.retrieval_rows)
    figures: Metrics = {}
    if not set(voice_people) & set(face_people):
        return figures
    tables = [scorer.table(V2F.sides, voices, faces, model) for model in range(models)]
    directions = {
        V2F.name: [retrieval_rates(table, voice_people, face_people) for table in tables],
        F2V.name: [retrieval_rates(np.ascontiguousarray(table.T), face_people, voice_people) for table in tables],
    }
    for name, rates in directions.items():
        size = len(faces if name == V2F.name else voices)
        nest(figures, [name], _direction_figures(rates, settings) | {"gallery": size})
    return figures


def nest(metrics: Metrics, path: Sequence[str], group: Mapping[str, "Metrics | float | int | str"]) -> None:
    """Put `group` into `metrics` under the keys of `path`, making the groups on the way."""
    for key in path:
        inner = metrics.setdefault(key, {})
        if not isinstance(inner, dict):
            raise TypeError(f"{key!r} is a figure already")
        metrics = inner
    metrics.update(group)


def _resampled(trials: pd.DataFrame, settings: EvaluateSettings) -> _Resampled | None:
    """Both people (N,) of each trial as numbers, and resamples of them; None where the settings want none."""
    if not settings.bootstrap:
        return None
    names = pd.concat([trials["left_identity"], trials["right_identity"]])
    codes = pd.factorize(names, sort=True)[0]  # numbers: comparing names a thousand times costs more than the rates
    resamples = IdentityResamples(codes, settings.bootstrap, settings.seed)
    return codes[: len(trials)], codes[len(trials) :], resamples


def _thinned_side(trials: pd.DataFrame, side: str, limit: int) -> tuple[RowIndex, np.ndarray]:
    """Distinct rows of one side and their identities, at most `limit`, spaced evenly in the store's order."""
    rows, first = np.unique(trials[f"{side}_row"].to_numpy(dtype=np.int64), return_index=True)
    picked = np.unique(np.linspace(0, len(rows) - 1, min(limit, len(rows))).round().astype(np.int64))
    return rows[picked], trials[f"{side}_identity"].to_numpy(dtype=str)[first[picked]]


def _direction_figures(rates: list[RetrievalRates], settings: EvaluateSettings) -> Metrics:
    people = rates[0].people  # the same for all models
    resamples = IdentityResamples(people, settings.bootstrap, settings.seed) if settings.bootstrap else None

    def interval(values: list[np.ndarray]) -> Interval | None:
        return mean_interval(np.stack(values), people, resamples, settings.confidence) if resamples else None

    figures: Metrics = {"queries": rates[0].queries}
    for depth in rates[0].recall:
        bounds = interval([model.hits(depth) for model in rates])
        figures |= _over_models(f"recall_{depth}", [model.recall[depth] for model in rates], bounds)
    bounds = interval([model.precision for model in rates])
    return figures | _over_models("mean_average_precision", [model.mean_average_precision for model in rates], bounds)


def _over_models(name: str, values: Sequence[float], interval: Interval | None = None) -> Metrics:
    """Mean of the models' values as `name`, deviation (n - 1, of two or more) as `name_std`, bounds `_low`, `_high`."""
    group: Metrics = {name: _rounded(float(np.mean(values)))}
    if len(values) > 1:
        group[f"{name}_std"] = _rounded(float(np.std(values, ddof=1)))
    if interval is not None:
        group |= {f"{name}_low": _rounded(interval.low), f"{name}_high": _rounded(interval.high)}
    return group


def _rounded(value: float) -> float:
    return round(value, _DECIMALS)


# Shares of impostors at which the curves are read: dense at both ends, where DET plots stretch the axis. 443 points.
_GRID = np.unique(np.concatenate([np.geomspace(1e-4, 1e-2, 81), np.linspace(0.0, 0.1, 91), np.linspace(0.1, 1.0, 271)]))
_CURVE_DECIMALS = 4


def roc_and_det(name: str, scores: Matrix, labels: np.ndarray) -> tuple[pd.DataFrame, pd.DataFrame]:
    """ROC and DET tables, in percent, of scores (S, N): the models' mean at fixed shares of accepted impostors.

    Each share shows the best operating point that accepts no more impostors than that: nothing is interpolated.
    """
    hits = np.mean([_true_accepts(row, labels) for row in scores], axis=0)
    shared = {"list": name, "false_accept_rate": np.round(100.0 * _GRID, _CURVE_DECIMALS)}
    roc = pd.DataFrame({**shared, "true_accept_rate": np.round(100.0 * hits, _CURVE_DECIMALS)})
    det = pd.DataFrame({**shared, "false_reject_rate": np.round(100.0 * (1.0 - hits), _CURVE_DECIMALS)})
    return roc, det


def no_curves() -> tuple[pd.DataFrame, pd.DataFrame]:
    """ROC and DET tables without a row, for a run whose own list is absent."""
    shared = ["list", "false_accept_rate"]
    return pd.DataFrame(columns=[*shared, "true_accept_rate"]), pd.DataFrame(columns=[*shared, "false_reject_rate"])


_BINS = 15  # of the reliability diagram, of as many trials each


def reliability(name: str, ratios: Floats, labels: np.ndarray) -> pd.DataFrame:
    """How often pairs are of one person by what their LLRs (S, N) make of it, in percent, at a prior of one half.

    Trials of all models together in bins of equal size; genuine trials and impostors count as half each, however many.
    """
    values, genuine = ratios.reshape(-1), np.tile(labels == 1, len(ratios))
    shares = np.where(genuine, 1.0 / genuine.sum(), 1.0 / (~genuine).sum())
    rows = []
    for part in np.array_split(np.argsort(values, kind="stable"), _BINS):
        expected = 1.0 / (1.0 + np.exp(-values[part]))
        observed = shares[part][genuine[part]].sum() / shares[part].sum()
        rows.append((float(100.0 * expected @ shares[part] / shares[part].sum()), float(100.0 * observed), len(part)))
    table = pd.DataFrame(rows, columns=["probability", "genuine", "trials"]).round(_CURVE_DECIMALS)
    table.insert(0, "list", name)
    return table


def no_reliability() -> pd.DataFrame:
    """The same without a row, for a run whose own list is absent or whose scores have no LLR."""
    return pd.DataFrame(columns=["list", "probability", "genuine", "trials"])


def matching_curve(matching: Metrics, modality: str = "both") -> pd.DataFrame:
    """Accuracy in percent against size of gallery, a column a task, empty where a task has no list.

    `task` names the first direction that a run of `modality` has learnt and that has a list, and `accuracy` is of it,
    so that one plot can show runs of different modalities, each by what it was trained for; empty where there is none.
    """
    rows: dict[int, dict[str, float]] = {}
    for task in MATCHING_TASKS:
        group = matching.get(task, {})
        for size, figures in group.items() if isinstance(group, dict) else ():
            if isinstance(figures, dict) and isinstance(accuracy := figures["accuracy"], float):
                rows.setdefault(int(size), {})[task] = round(accuracy, _CURVE_DECIMALS)
    table = pd.DataFrame([{"size": size, **rows[size]} for size in sorted(rows)])
    table = table.reindex(columns=["size", "task", "accuracy", *MATCHING_TASKS])
    learnt = [task.name for task in learnt_tasks(modality, MATCHING_TASKS)]
    shown = next((task for task in learnt if table[task].notna().any()), None)
    return table.assign(task=shown, accuracy=table[shown]) if shown else table


def _true_accepts(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    curve = roc_curve(scores, labels)
    return np.asarray(curve.true_accepts[np.searchsorted(curve.false_accepts, _GRID, side="right") - 1])
