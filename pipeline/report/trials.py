"""The surest errors of one run: which trials and galleries artifacts/report/trials.html shows, and the page itself.

All on unseen-unheard test people. A run's models count by the mean of their scores. A pair is accepted at or above the
threshold at which, in its list, wrong accepts are as frequent as wrong rejects.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.errors import RunError
from pipeline.evaluation.lists import Lists, Trained, TrialScorer, candidates
from pipeline.metrics.rates import RocCurve, roc_curve
from pipeline.protocol.judged import judged_on, learnt_tasks
from pipeline.protocol.vocabulary import CRITERIA, MATCHING_TASKS, UNSEEN, Modality, Task
from pipeline.store import Store

_RIVALS = 3  # impostors of a gallery that are shown, the highest first


@dataclass(frozen=True)
class Sample:
    """A row of a store: a face of a frame, or a whole utterance."""

    modality: Modality
    row: int


@dataclass(frozen=True)
class WrongTrial:
    """A pair on the wrong side of its list's threshold."""

    accepted: bool  # an impostor pair that was accepted; else a genuine one that was rejected
    criterion: str
    left: Sample
    right: Sample
    score: float
    threshold: float  # of its list
    beaten: float  # % of the list's pairs of the other kind that score lower (accepted) or higher (rejected)


@dataclass(frozen=True)
class HardGallery:
    """A probe and those of its gallery that matter: the genuine candidate and the highest of the impostors."""

    task: Task
    probe: Sample
    candidates: tuple[tuple[Sample, float], ...]  # with their scores, highest first
    genuine: Sample
    rank: int  # of the genuine candidate among all, from 1; ties count against it
    size: int


def read_scores(path: Path, run: str) -> pd.DataFrame:
    """Scores of a run's trials as evaluation wrote them; raises RunError where they cannot be read."""
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read ({error}); run `dvc repro evaluate@{run}`") from error


def wrong_trials(scores: pd.DataFrame, modality: str, shown: int) -> list[WrongTrial]:
    """Of every criterion the `shown` surest wrong accepts, highest scores first, then wrong rejects, lowest first.

    `scores` is a run's scores.parquet; the lists are those that a run of `modality` (both | face | voice) is judged on.
    A list without both kinds of trial has no threshold and is passed over. Ties keep the order of the list.
    """
    task = judged_on(modality)
    own = scores[(scores["regime"] == UNSEEN.name) & (scores["task"] == task.name)]
    lists = [(name, own[own["criterion"] == name].sort_values("position", kind="stable")) for name in CRITERIA]
    both = [(name, trials) for name, trials in lists if trials["label"].nunique() == 2]
    return [wrong for name, trials in both for wrong in _of_list(name, trials, task, shown)]


def _of_list(criterion: str, trials: pd.DataFrame, task: Task, shown: int) -> list[WrongTrial]:
    scores = mean_scores(trials)  # (N,)
    genuine = trials["label"].to_numpy() == 1
    threshold = _equal_error_threshold(roc_curve(scores, genuine.astype(np.int64)))
    left, right = trials["left_row"].to_numpy(), trials["right_row"].to_numpy()
    found = []
    for accepted, wrong in ((True, ~genuine & (scores >= threshold)), (False, genuine & (scores < threshold))):
        sureness = scores if accepted else -scores
        others = sureness[genuine == accepted]  # of the other kind
        rows = np.flatnonzero(wrong)
        for row in rows[np.argsort(-sureness[rows], kind="stable")][:shown]:
            beaten = 100.0 * float(np.mean(others < sureness[row]))
            sides = Sample(task.left, int(left[row])), Sample(task.right, int(right[row]))
            found.append(WrongTrial(accepted, criterion, *sides, float(scores[row]), threshold, beaten))
    return found


def mean_scores(trials: pd.DataFrame) -> np.ndarray:
    """Mean (N,) over the models of a run's scores of N trials."""
    models = [name for name in trials.columns if name.startswith("score_")]
    return np.asarray(trials[models].to_numpy(dtype=np.float64).mean(axis=1))


def _equal_error_threshold(curve: RocCurve) -> float:
    """The highest threshold at which the share of impostors accepted reaches that of genuine trials rejected."""
    return float(curve.thresholds[int(np.argmax(curve.false_accepts >= 1.0 - curve.true_accepts))])


def hard_galleries(
    model: Trained, lists: Lists, faces: Store, voices: Store, modality: str, shown: int
) -> list[HardGallery]:
    """Of every direction of matching that the run is judged on, the `shown` galleries in which it is furthest off.

    That is where the genuine candidate lies furthest below the highest impostor, all candidates counted. `lists` are
    those that the run can score (evaluation.measurable).
    """
    across = judged_on(modality).is_cross_modal
    tasks = [task for task in learnt_tasks(modality, MATCHING_TASKS) if task.is_cross_modal == across]
    of_task = {names[2]: probes for names, probes in lists.galleries() if names[:2] == (UNSEEN.name, "matching")}
    found = []
    for task in tasks:
        if task.name in of_task:
            found += _of_direction(model, task, of_task[task.name], faces, voices, shown)
    return found


def _of_direction(
    model: Trained, task: Task, probes: pd.DataFrame, faces: Store, voices: Store, shown: int
) -> list[HardGallery]:
    probe_rows, rows = probes["probe_row"].to_numpy(dtype=np.int64), candidates(probes)  # (P,), (P, G)
    named = {"face": np.empty(0, np.int64), "voice": np.empty(0, np.int64)}
    for side, of_side in zip(task.sides, (probe_rows, rows.reshape(-1)), strict=True):
        named[side] = np.concatenate([named[side], of_side])
    scorer = TrialScorer(model, faces, voices, named["face"], named["voice"])
    scores = scorer.galleries(task.sides, probe_rows, rows).astype(np.float64).mean(axis=0)  # (P, G)
    margins = scores[:, 0] - scores[:, 1:].max(axis=1)
    return [
        _gallery(task, int(probe_rows[at]), rows[at], scores[at])
        for at in np.argsort(margins, kind="stable")[:shown]
        if margins[at] <= 0.0
    ]


def _gallery(task: Task, probe: int, rows: np.ndarray, scores: np.ndarray) -> HardGallery:
    """One gallery; `rows` and `scores` (G,) have the genuine candidate first."""
    rivals = 1 + np.argsort(-scores[1:], kind="stable")[:_RIVALS]
    samples = [(Sample(task.right, int(rows[at])), float(scores[at])) for at in (*rivals, 0)]
    ordered = tuple(sorted(samples, key=lambda shown: -shown[1]))  # stable: at a tie the genuine one stays behind
    rank = 1 + int((scores[1:] >= scores[0]).sum())
    return HardGallery(task, Sample(task.left, probe), ordered, Sample(task.right, int(rows[0])), rank, len(rows))
