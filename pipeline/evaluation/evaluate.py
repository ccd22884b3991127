"""An evaluation: score a trained run on every test list of the protocol, turn scores into figures, write the files.

Lists and the scores of their rows: lists.py. Figures and curves of one list: figures.py.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.errors import ProtocolError, ScoreError
from pipeline.evaluation.challenge import challenge_figures, labelled
from pipeline.evaluation.figures import (
    Metrics,
    matching_curve,
    matching_figures,
    nest,
    no_curves,
    no_reliability,
    parity_figures,
    reliability,
    retrieval_figures,
    roc_and_det,
    verification_figures,
)
from pipeline.evaluation.lists import Fused, Lists, Trained, TrialScorer, candidates
from pipeline.files import atomic_path, write_text
from pipeline.metrics.official_grid import FOLDS
from pipeline.metrics.rates import Floats
from pipeline.protocol.judged import judged_on, learnt_tasks
from pipeline.protocol.tables import RowIndex, shaped
from pipeline.protocol.vocabulary import (
    CROSS_MODAL,
    RANDOM,
    TASKS,
    UNSEEN,
    VERIFICATION_TASKS,
)
from pipeline.scoring.similarity import Matrix
from pipeline.settings import EvaluateSettings
from pipeline.store import Store

SUMMARY = "summary.json"
METRICS, SCORES, ROC, DET, MATCHING = "metrics.json", "scores.parquet", "roc.csv", "det.csv", "matching.csv"
RELIABILITY = "reliability.csv"
_LOG = logging.getLogger(__name__)
_KEYS = ("regime", "task", "criterion", "position", "label", "left_row", "right_row", "left_identity", "right_identity")
ListName = tuple[str, str, str]  # regime, task, criterion


@dataclass(frozen=True)
class _ScoredList:
    """A verification list and the scores of its N trials by S models."""

    name: ListName
    trials: pd.DataFrame
    scores: Matrix  # (S, N)
    ratios: Floats | None  # (S, N) log-likelihood ratios; None where the model has no calibration of the task


@dataclass(frozen=True)
class Evaluation:
    """Everything measured of one run."""

    metrics: Metrics  # metrics.json: nested groups of percentages
    scores: pd.DataFrame  # one row a trial, one column score_<i> a model
    roc: pd.DataFrame
    det: pd.DataFrame
    matching: pd.DataFrame
    reliability: pd.DataFrame


def evaluate(
    model: Trained, settings: EvaluateSettings, lists: Lists, faces: Store, voices: Store, modality: str = "both"
) -> Evaluation:
    """Score all trials and galleries of `lists` with every model of a run and measure them.

    The curves are of the first random list of a task that a run of `modality` (both | face | voice) was trained for,
    and empty if the protocol holds none. Lists that the protocol does not hold are absent from the result. Rates are
    exact, whatever `settings.rates` says, of a model that compares no embeddings, such as a fusion: its scores are no
    distances, and the official grid is one of distances. Raises ProtocolError if there are no trials at all,
    ScoreError if a model gives scores that are not finite and if the list of the curves is too short for the official
    grid (another such list goes without rates).
    """
    lists = measurable(lists, model)
    if model.compares != "embeddings":
        settings = settings.model_copy(update={"rates": "exact"})
    scorer = TrialScorer(model, faces, voices, *_named_rows(lists))
    metrics: Metrics = {}
    scored = _score_lists(scorer, lists)
    nest(metrics, ["calibration"], _calibrations(model))
    for one in scored:
        _measure_verification(metrics, one, settings, lists)
    _warn_of_absent_sizes(lists, settings)
    for (regime, *names), probes in lists.galleries():
        nest(metrics, [*_regime_path(regime), *names], matching_figures(scorer, names[1], probes, settings))
    matching = matching_curve(_group(metrics, "matching"), modality)
    if len(lists.challenge):
        nest(metrics, ["challenge"], challenge_figures(scorer, lists.challenge, settings))
    if model.compares == "galleries" or (len(lists.challenge) and not scored):
        curves = *no_curves(), matching, no_reliability()
        return Evaluation(_without_empty_groups(metrics), _score_table(scored), *curves)
    random = _random_lists(scored)
    cross_modal = random.get(CROSS_MODAL.name)
    if cross_modal and lists.names_people(UNSEEN.name, RANDOM.name):  # else identities are unknown
        figures = retrieval_figures(scorer, cross_modal.trials, len(cross_modal.scores), settings)
        nest(metrics, ["retrieval"], figures)
    roc, det, diagram = _curves(random, modality, settings)
    return Evaluation(_without_empty_groups(metrics), _score_table(scored), roc, det, matching, diagram)


def write_evaluation(
    folder: Path, evaluation: Evaluation, selection: Metrics, modality: str = "both", model: Metrics | None = None
) -> None:
    """Write metrics.json (with how the models were chosen under `selection` and what they are under `model`), its
    headline for models of `modality` as summary.json, scores.parquet and the three curves: each file whole or not at
    all, the same bytes for equal figures.
    """
    summary = headline(evaluation.metrics, modality)
    write_text(folder / SUMMARY, json.dumps(summary, indent=2, allow_nan=False) + "\n")
    metrics = {**evaluation.metrics, "selection": selection} | ({"model": model} if model else {})
    write_text(folder / METRICS, json.dumps(metrics, indent=2, sort_keys=True, allow_nan=False) + "\n")
    with atomic_path(folder / SCORES) as temporary:
        evaluation.scores.to_parquet(temporary, index=False)
    curves = {ROC: evaluation.roc, DET: evaluation.det, MATCHING: evaluation.matching}
    for name, table in {**curves, RELIABILITY: evaluation.reliability}.items():
        write_text(folder / name, table.to_csv(index=False, lineterminator="\n"))


def headline(metrics: Metrics, modality: str) -> Metrics:
    """The few figures to compare runs by: of the random list that a run of this modality is judged on first."""
    group: object = metrics
    for key in ("verification", judged_on(modality).name, RANDOM.name):
        group = group.get(key, {}) if isinstance(group, dict) else {}
    wanted = ("eer", "eer_std", "auc", "auc_std", "min_dcf", "cllr", "min_cllr", "identities")
    return {key: group[key] for key in wanted if key in group} if isinstance(group, dict) else {}


def described(metrics: Metrics, modality: str) -> str:
    """The headline as one line."""
    figures = headline(metrics, modality)
    if "eer" not in figures:
        return "no rates on a random list of what it was trained on"
    deviations = [f" ± {figures[key]:.1f}" if key in figures else "" for key in ("eer_std", "auc_std")]
    rates = f"EER {figures['eer']:.1f}{deviations[0]} %, AUC {figures['auc']:.1f}{deviations[1]} %"
    return f"{rates} on {figures['identities']} people" if "identities" in figures else f"{rates}, on people unknown"


def measurable(lists: Lists, model: Trained) -> Lists:
    """The lists that the model can score: none of a modality that it does not take, or that a fusion cannot rank.

    If its scores compare the candidates of one gallery only, no trials, and no galleries within a modality: what
    chooses among the faces of a voice has no score for a face.
    """
    left_out = {name for name, task in TASKS.items() if not all(model.takes(modality) for modality in task.sides)}
    if isinstance(model, Fused):
        unranked = {name for name, task in TASKS.items() if not model.ranks(task)} - left_out
        if unranked:
            _LOG.warning("validation has no trials to rank scores among: nothing of %s", ", ".join(sorted(unranked)))
        left_out |= unranked
    if model.compares == "galleries":
        _LOG.info("the method scores galleries only: no verification, no retrieval")
        left_out |= set(VERIFICATION_TASKS) | {name for name, task in TASKS.items() if not task.is_cross_modal}
    tables = {
        name: (table := getattr(lists, name))[~table["task"].isin(left_out)]
        for name in ("verification", "matching", "matching_released")
    }
    if CROSS_MODAL.name in left_out:
        tables["challenge"] = shaped("challenge")
    return replace(lists, **tables)


def _score_lists(scorer: TrialScorer, lists: Lists) -> list[_ScoredList]:
    scored = []
    for name, trials in lists.trials():
        left, right = (trials[f"{side}_row"].to_numpy(dtype=np.int64) for side in ("left", "right"))
        sides = TASKS[name[1]].sides
        scores = scorer.pairs(sides, left, right)
        scored.append(_ScoredList(name, trials, scores, _ratios(scorer.model, sides, scores)))
    return scored


def _ratios(model: Trained, sides: tuple[str, str], scores: Matrix) -> Floats | None:
    """Log-likelihood ratios (S, N) of scores (S, N); None where one of the models has none."""
    calibrations = model.calibration(*sides)
    if any(own.reason for own in calibrations):
        return None
    return np.stack([own.log_likelihood_ratio(row) for own, row in zip(calibrations, scores, strict=True)])


def _calibrations(model: Trained) -> Metrics:
    """By task, on how many people the model's scores were calibrated, or why they were not."""
    found: Metrics = {}
    for name, task in VERIFICATION_TASKS.items():
        calibrations = model.calibration(*task.sides)
        reason = next((own.reason for own in calibrations if own.reason), "")
        found[name] = {"reason": reason} if reason else {"people": calibrations[0].people}
    return found


def _random_lists(scored: list[_ScoredList]) -> dict[str, _ScoredList]:
    """The random lists of unseen-unheard people by task, those with both kinds of trial."""
    random = {
        one.name[1]: one
        for one in scored
        if (one.name[0], one.name[2]) == (UNSEEN.name, RANDOM.name) and _both_kinds(one)
    }
    if not random:
        raise ProtocolError("no random test list has genuine and impostor trials: there is nothing to evaluate")
    return random


def _curves(
    random: Mapping[str, _ScoredList], modality: str, settings: EvaluateSettings
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """ROC, DET and reliability of what a run of `modality` was trained for, from random lists by task."""
    shown = next((task.name for task in learnt_tasks(modality, VERIFICATION_TASKS) if task.name in random), None)
    if shown is None:
        _LOG.warning("no random test list of task %s, which the run was trained for: no curves", modality)
        return *no_curves(), no_reliability()
    one = random[shown]
    if _too_short(one, settings):
        raise ScoreError(
            f"list {UNSEEN.name}/{shown}/{RANDOM.name}, which the run is judged on, has {len(one.trials)} trials, "
            f"too few for {FOLDS} folds: set evaluate.rates: exact, or raise protocol.trials and add media"
        )
    name, labels = f"{shown}.{RANDOM.name}", one.trials["label"].to_numpy()
    diagram = no_reliability() if one.ratios is None else reliability(name, one.ratios, labels)
    return *roc_and_det(name, one.scores, labels), diagram


def _measure_verification(metrics: Metrics, one: _ScoredList, settings: EvaluateSettings, lists: Lists) -> None:
    """Add the figures of one verification list, and of a cross-modal one those of its labels by row parity."""
    regime, task, criterion = one.name
    if not _both_kinds(one):
        _LOG.warning("list %s has %d trials of one kind only: no rates", "/".join(one.name), len(one.trials))
        return
    if _too_short(one, settings):
        _LOG.warning(
            "list %s has %d trials, too few for %d folds: no rates; evaluate.rates exact would have some",
            "/".join(one.name),
            len(one.trials),
            FOLDS,
        )
        return
    figures = verification_figures(one.scores, one.trials, settings, one.ratios)
    if task == CROSS_MODAL.name and not lists.names_people(regime, criterion):
        del figures["identities"]
    nest(metrics, [*_regime_path(regime), "verification", task, criterion], figures)
    if task == CROSS_MODAL.name:
        nest(metrics, [*_regime_path(regime), "parity_labels", criterion], parity_figures(one.scores, one.trials))


def _too_short(one: _ScoredList, settings: EvaluateSettings) -> bool:
    return settings.rates == "official_grid" and len(one.trials) < FOLDS


def _warn_of_absent_sizes(lists: Lists, settings: EvaluateSettings) -> None:
    for (_, kind, *_), probes in lists.galleries():
        held = candidates(probes).shape[1]
        if kind == "matching" and (beyond := [size for size in settings.matching_sizes if size > held]):
            sizes = ", ".join(map(str, beyond))
            _LOG.warning("galleries hold %d candidates (protocol.gallery_size): no matching among %s", held, sizes)
            return


def _regime_path(regime: str) -> list[str]:
    """Path of a regime's figures in metrics.json: those of unseen-unheard people, the contract's, are at the top."""
    return [] if regime == UNSEEN.name else [regime]


def _both_kinds(one: _ScoredList) -> bool:
    return len(one.trials["label"].unique()) == 2


def _named_rows(lists: Lists) -> tuple[RowIndex, RowIndex]:
    """Every face row and every voice row that a list names."""
    rows: dict[str, list[RowIndex]] = {"face": [], "voice": []}
    for (_, task, _), trials in lists.trials():
        for side, modality in zip(("left", "right"), TASKS[task].sides, strict=True):
            rows[modality].append(trials[f"{side}_row"].to_numpy(dtype=np.int64))
    for (_, _, task, *_), probes in lists.galleries():
        rows[TASKS[task].left].append(probes["probe_row"].to_numpy(dtype=np.int64))
        rows[TASKS[task].right].append(candidates(probes).reshape(-1))
    rows["voice"].append(labelled(lists.challenge)["left_row"].to_numpy())
    rows["face"].append(labelled(lists.challenge)["right_row"].to_numpy())
    none = [np.empty(0, dtype=np.int64)]
    return np.concatenate(none + rows["face"]), np.concatenate(none + rows["voice"])


def _score_table(scored: list[_ScoredList]) -> pd.DataFrame:
    tables = [
        one.trials.loc[:, list(_KEYS)].assign(**{f"score_{model}": row for model, row in enumerate(one.scores)})
        for one in scored
    ]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(_KEYS))


def _without_empty_groups(metrics: Metrics) -> Metrics:
    """What was not measured is absent, not zero."""
    groups = {key: _without_empty_groups(value) if isinstance(value, dict) else value for key, value in metrics.items()}
    return {key: value for key, value in groups.items() if value != {}}


def _group(metrics: Metrics, key: str) -> Metrics:
    group = metrics.get(key, {})
    return group if isinstance(group, dict) else {}
