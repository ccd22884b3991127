"""Measure a trained run on every test list of the protocol."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.errors import ConfigError, ProtocolError, ScoreError
from pipeline.evaluation.curves import matching_curve, no_curves, roc_and_det
from pipeline.evaluation.lists import Lists, Rows, candidates
from pipeline.evaluation.matching import matching_figures
from pipeline.evaluation.retrieval import retrieval_figures
from pipeline.evaluation.scoring import Encoder, Matrix, Scorer
from pipeline.evaluation.tree import Group, place
from pipeline.evaluation.verification import parity_figures, verification_figures
from pipeline.metrics.official_grid import FOLDS
from pipeline.protocol.vocabulary import CROSS_MODAL, RANDOM, TASKS, UNSEEN, VERIFICATION_TASKS, learnt_tasks
from pipeline.settings import EvaluateSettings
from pipeline.store import Store

_LOG = logging.getLogger(__name__)
_KEYS = ("regime", "task", "criterion", "position", "label", "left_row", "right_row", "left_identity", "right_identity")
Scored = list[
    tuple[tuple[str, str, str], pd.DataFrame, Matrix]
]  # of each list: regime, task, criterion; trials; scores


@dataclass(frozen=True)
class Evaluation:
    """Everything measured of one run."""

    metrics: Group  # metrics.json: nested groups of percentages
    scores: pd.DataFrame  # one row a trial, one column score_<i> a model
    roc: pd.DataFrame
    det: pd.DataFrame
    matching: pd.DataFrame


def evaluate(
    encoder: Encoder, settings: EvaluateSettings, lists: Lists, faces: Store, voices: Store, modality: str = "both"
) -> Evaluation:
    """Score all trials and galleries of `lists` with every model of a run and measure them.

    The curves are of the first random list that a run of `modality` (both | face | voice) has learnt to tell apart, and
    without a row where the protocol holds none of these. Lists that it does not hold are absent from the result. Raises
    ProtocolError where there are no trials at all, ScoreError where a model gives scores that are not finite and where
    the list of the curves is too short for the official grid (another such list goes without rates), ConfigError for
    rates by recipe, which `settings.under` must have settled.
    """
    if settings.rates == "recipe":
        raise ConfigError(
            "evaluate.rates recipe is settled by EvaluateSettings.under for the recipe of the run that is measured"
        )
    scorer = Scorer(encoder, faces, voices, *_rows(lists))
    tree: Group = {}
    scored = _scored(scorer, lists)
    for key, trials, scores in scored:
        _verify(tree, key, trials, scores, settings, lists)
    _tell_absent_sizes(lists, settings)
    for (regime, *names), probes in lists.galleries():
        place(tree, [*_under(regime), *names], matching_figures(scorer, names[1], probes, settings))
    drawn = _random_lists(scored)
    if CROSS_MODAL.name in drawn and lists.names_people(
        UNSEEN.name, RANDOM.name
    ):  # else who is looked for is not known
        trials, scores = drawn[CROSS_MODAL.name]
        place(tree, ["retrieval"], retrieval_figures(scorer, trials, len(scores), settings))
    roc, det = _curves(drawn, modality, settings)
    matching = matching_curve(_group(tree, "matching"), modality)
    return Evaluation(_pruned(tree), _score_table(scored), roc, det, matching)


def _scored(scorer: Scorer, lists: Lists) -> Scored:
    scored = []
    for key, trials in lists.trials():
        left, right = (trials[f"{side}_row"].to_numpy(dtype=np.int64) for side in ("left", "right"))
        scored.append((key, trials, scorer.pairs(TASKS[key[1]].sides, left, right)))
    return scored


def _random_lists(scored: Scored) -> dict[str, tuple[pd.DataFrame, Matrix]]:
    """The random lists of unseen-unheard people by task, those with both kinds of trial."""
    drawn = {
        task: (trials, scores)
        for (regime, task, criterion), trials, scores in scored
        if (regime, criterion) == (UNSEEN.name, RANDOM.name) and _both_kinds(trials)
    }
    if not drawn:
        raise ProtocolError("no random test list has genuine and impostor trials: there is nothing to evaluate")
    return drawn


def _curves(
    drawn: Mapping[str, tuple[pd.DataFrame, Matrix]], modality: str, settings: EvaluateSettings
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """ROC and DET of what a run of `modality` was trained for, from random lists by task."""
    learnt = [task.name for task in learnt_tasks(modality, VERIFICATION_TASKS)]
    shown = next((task for task in learnt if task in drawn), None)
    if shown is None:
        _LOG.warning("no random test list of task %s, which the run was trained for: no curves", modality)
        return no_curves()
    trials, scores = drawn[shown]
    if _too_short(trials, settings):
        raise ScoreError(
            f"list {UNSEEN.name}/{shown}/{RANDOM.name}, which the run is judged on, has {len(trials)} trials, too few "
            f"for {FOLDS} folds: set evaluate.rates: exact, or raise protocol.trials and add media"
        )
    return roc_and_det(f"{shown}.{RANDOM.name}", scores, trials["label"].to_numpy())


def _verify(
    tree: Group,
    key: tuple[str, str, str],
    trials: pd.DataFrame,
    scores: Matrix,
    settings: EvaluateSettings,
    lists: Lists,
) -> None:
    regime, task, criterion = key
    if not _both_kinds(trials):
        _LOG.warning("list %s has %d trials of one kind only: no rates", "/".join(key), len(trials))
        return
    if _too_short(trials, settings):
        told = ("/".join(key), len(trials), FOLDS)
        _LOG.warning(
            "list %s has %d trials, too few for %d folds: no rates; evaluate.rates exact would have some", *told
        )
        return
    figures = verification_figures(scores, trials, settings)
    if task == CROSS_MODAL.name and not lists.names_people(regime, criterion):
        del figures["identities"]
    place(tree, [*_under(regime), "verification", task, criterion], figures)
    if task == CROSS_MODAL.name:
        place(tree, [*_under(regime), "parity_labels", criterion], parity_figures(scores, trials))


def _too_short(trials: pd.DataFrame, settings: EvaluateSettings) -> bool:
    return settings.rates == "official_grid" and len(trials) < FOLDS


def _tell_absent_sizes(lists: Lists, settings: EvaluateSettings) -> None:
    for (_, kind, *_), probes in lists.galleries():
        held = candidates(probes).shape[1]
        if kind == "matching" and (beyond := [size for size in settings.matching_sizes if size > held]):
            sizes = ", ".join(map(str, beyond))
            _LOG.warning("galleries hold %d candidates (protocol.gallery_size): no matching among %s", held, sizes)
            return


def _under(regime: str) -> list[str]:
    """Where a regime's figures stand: unseen-unheard ones, the contract's, at the top."""
    return [] if regime == UNSEEN.name else [regime]


def _both_kinds(trials: pd.DataFrame) -> bool:
    return len(trials["label"].unique()) == 2


def _rows(lists: Lists) -> tuple[Rows, Rows]:
    """Every face row and every voice row that a list names."""
    rows: dict[str, list[Rows]] = {"face": [], "voice": []}
    for (_, task, _), trials in lists.trials():
        for side, modality in zip(("left", "right"), TASKS[task].sides, strict=True):
            rows[modality].append(trials[f"{side}_row"].to_numpy(dtype=np.int64))
    for (_, _, task, *_), probes in lists.galleries():
        rows[TASKS[task].left].append(probes["probe_row"].to_numpy(dtype=np.int64))
        rows[TASKS[task].right].append(candidates(probes).reshape(-1))
    none = [np.empty(0, dtype=np.int64)]
    return np.concatenate(none + rows["face"]), np.concatenate(none + rows["voice"])


def _score_table(scored: Scored) -> pd.DataFrame:
    tables = [
        trials.loc[:, list(_KEYS)].assign(**{f"score_{model}": row for model, row in enumerate(scores)})
        for _, trials, scores in scored
    ]
    return pd.concat(tables, ignore_index=True)


def _pruned(tree: Group) -> Group:
    """The tree without groups that stayed empty: what was not measured is absent, not zero."""
    kept = {key: _pruned(value) if isinstance(value, dict) else value for key, value in tree.items()}
    return {key: value for key, value in kept.items() if value != {}}


def _group(tree: Group, key: str) -> Group:
    group = tree.get(key, {})
    return group if isinstance(group, dict) else {}
