"""At a training's end: what the scores of a run mean, fitted on validation people for each task that it has learnt.

The people that a model is chosen on look easier than others: of many epochs, the one is kept that suits them. Maps
fitted on their scores as they are would be far too steep. So the choice is made again without each group of people,
their trials are scored by the epoch that the others chose, by the others' map, and the map of all is bent as those
scores ask for (a calibration slope by cross-validation: van Houwelingen & le Cessie 1990, "Predictive value of
statistical models").
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ScoreError
from pipeline.metrics.bootstrap import Counts, WeightedTrials
from pipeline.metrics.rates import Floats
from pipeline.protocol.judged import judged_on, learnt_tasks
from pipeline.protocol.tables import RowIndex
from pipeline.protocol.vocabulary import VERIFICATION_TASKS, Task
from pipeline.scoring.calibration import (
    FEWEST_CALIBRATED,
    Calibration,
    absent,
    logistic_map,
    score_thresholds,
    shrunken_map,
)
from pipeline.scoring.model import Model
from pipeline.scoring.similarity import Matrix, similarity
from pipeline.store import rows_of
from pipeline.training.lists import Trials

GROUPS, ROUNDS = 5, 5  # of the people: all pairs of groups are left out in turn, and other groups made of them
_PAIRS = tuple(combinations_with_replacement(range(GROUPS), 2))
_ALL = slice(None)
IMPOSTORS = 20_000  # pairs of rows, at most


@dataclass(frozen=True)
class ValidationHistory:
    """The trials that the epochs of a run were chosen on, and their scores in all of them."""

    trials: Trials
    scores: Sequence[Matrix]  # of each network (epochs, N)

    @cached_property
    def groups(self) -> Sequence[RowIndex]:
        """The group (people,) of each person in each of the ROUNDS."""
        rng = np.random.default_rng(0)
        count = int(self.trials.people.max()) + 1
        return [rng.permutation(count) % GROUPS for _ in range(ROUNDS)]

    @cached_property
    def choices(self) -> Sequence[Sequence[NDArray[np.intp]]]:
        """Of each round and network the epoch (pairs,), from 0, that people of neither group of a pair choose."""
        kept = [np.stack([~np.isin(group, pair) for pair in _PAIRS], axis=1).astype(np.int32) for group in self.groups]
        return [[_chosen(scores, self.trials, people) for scores in self.scores] for people in kept]


def calibrate(
    model: Model,
    validation: Mapping[str, Trials],
    stores: Mapping[str, Matrix],
    prior: float,
    history: ValidationHistory | None = None,
) -> Model:
    """The model with what its scores mean on each verification task, or why that is not known.

    That is one calibration for each score that it gives a pair and, where there are several, one of their mean, which
    is the score that a run decides by: fitted on the same trials in the same way, as for networks that score as one.
    `validation` holds trials by task, of people who did not train, `stores` the vectors of both modalities; `history`
    is of the validation list that the model was chosen on, None where it was not chosen on validation people.
    """
    modality = str(model.settings["modality"])
    learnt, judged = learnt_tasks(modality, VERIFICATION_TASKS), judged_on(modality)
    of_each: dict[str, tuple[Calibration, ...]] = {}
    of_mean: dict[str, Calibration] = {}
    for name, task in VERIFICATION_TASKS.items():
        listed = validation.get(name)
        trials = with_all_impostors(listed) if listed else None
        reason = _why_not(model, task, learnt, trials)
        if trials is None or reason:
            of_each[name], of_mean[name] = (absent(reason),) * model.judges, absent(reason)
            continue
        scores = model_scores(model, trials, stores)  # (S, N)
        chosen_on = history if task == judged else None
        of_each[name] = tuple(
            _calibration(row, trials, prior, chosen_on, _ALL if model.judges == 1 else slice(judge, judge + 1))
            for judge, row in enumerate(scores)
        )
        if model.judges > 1:
            of_mean[name] = _calibration(scores.mean(axis=0), trials, prior, chosen_on, _ALL)
    return replace(model, calibrations=of_each, mean_calibrations=of_mean if model.judges > 1 else {})


def _why_not(model: Model, task: Task, learnt: Sequence[Task], trials: Trials | None) -> str:
    if model.compares == "galleries":
        return "its method chooses among candidates, and gives a pair no score by itself"
    if task not in learnt:
        return f"it was not trained to compare {task.words}"
    if trials is None:
        return f"the protocol names no validation people with genuine and impostor trials of {task.words}"
    if len(np.unique(trials.labels)) < 2:  # of two people within a modality, no pair of rows may be left
        return f"validation people have no two kinds of trial of {task.words}"
    return ""


def _calibration(
    scores: Matrix, trials: Trials, prior: float, history: ValidationHistory | None, networks: slice
) -> Calibration:
    """Of scores (N,), the mean of those of `networks`; `history` is there where these people chose the model."""
    people, thresholds = len(trials.people), score_thresholds(scores, trials.labels)
    if people < FEWEST_CALIBRATED:
        reason = f"validation holds {people} people, and fewer than {FEWEST_CALIBRATED} cannot say what a score means"
        return Calibration(people, thresholds=thresholds, reason=reason)
    try:
        if history is None:
            steps = [shrunken_map(scores, trials.labels, trials.left_person, trials.right_person, prior)]
        else:
            ratios = held_out_ratios(history, prior, networks)
            own = history.trials
            labels, *sides = (np.tile(part, len(ratios)) for part in (own.labels, own.left_person, own.right_person))
            bend = shrunken_map(ratios.reshape(-1), labels, sides[0], sides[1], prior)
            steps = [logistic_map(scores, trials.labels, prior), bend]
    except ScoreError as error:
        return Calibration(people, thresholds=thresholds, reason=f"on validation people, {error}")
    if not all(step.slope > 0.0 for step in steps):
        reason = f"on {people} validation people a higher score does not mean one person"
        return Calibration(people, thresholds=thresholds, reason=reason)
    found = reduce(lambda first, then: then.after(first), steps)
    return Calibration(people, found.slope, found.offset, thresholds)


def held_out_ratios(history: ValidationHistory, prior: float, networks: slice = _ALL) -> Floats:
    """LLRs (ROUNDS, N) of the trials, each by the epoch that people other than its own choose, and by a map of those.

    Their score is the mean of `networks`, of which each has its own epoch.

    In each round the people are in other groups, GROUPS of them; a trial is of one group or two, and neither has a say.
    Raises ScoreError where too little is left without them.
    """
    return np.stack([_one_round(history, number, prior, networks) for number in range(ROUNDS)])


def _one_round(history: ValidationHistory, number: int, prior: float, networks: slice) -> Floats:
    """The LLRs (N,) of a round."""
    trials, group = history.trials, history.groups[number]
    groups = np.stack([group[trials.left_person], group[trials.right_person]])
    left, right = np.sort(groups, axis=0)
    chosen = list(zip(history.scores[networks], history.choices[number][networks], strict=True))
    ratios = np.empty(len(trials.labels))
    for at, pair in enumerate(_PAIRS):
        own = (left == pair[0]) & (right == pair[1])
        if own.any():
            others = ~np.isin(groups, pair).any(axis=0)
            scores = np.mean([of_epoch[epochs[at]] for of_epoch, epochs in chosen], axis=0)
            ratios[own] = logistic_map(scores[others], trials.labels[others], prior)(scores[own])
    return ratios


def _chosen(scores: Matrix, trials: Trials, kept: Counts) -> NDArray[np.intp]:
    """Epoch (pairs,), from 0, that the rule of training keeps by the trials of the people `kept` (people, pairs)."""
    weighted = [WeightedTrials(epoch, trials.labels, trials.left_person, trials.right_person) for epoch in scores]
    rates = np.stack([epoch.rates(kept, 0.5)[:2] for epoch in weighted])  # (epochs, EER and AUC, pairs)
    return np.asarray(np.lexsort((-rates[:, 1], rates[:, 0]), axis=0)[0])  # the first of equals


def with_all_impostors(trials: Trials) -> Trials:
    """The genuine trials, and every pair of their rows of two people; of more than IMPOSTORS, that many by chance.

    A list pairs each row with few others, and 1 % of false accepts asks for many.
    """
    genuine = np.flatnonzero(trials.labels == 1)
    (left, left_person), (right, right_person) = _distinct(trials, "left"), _distinct(trials, "right")
    total = len(left) * len(right)
    cells = np.arange(total)
    if total > 2 * IMPOSTORS:
        cells = np.unique(np.random.default_rng(0).integers(0, total, 2 * IMPOSTORS))
    i, j = np.divmod(cells, len(right))
    other = left_person[i] != right_person[j]
    if trials.sides[0] == trials.sides[1]:
        other &= left[i] < right[j]  # the other order is the same pair; a row on one side only loses some
    i, j = i[other], j[other]
    if len(i) > IMPOSTORS:
        thinned = np.sort(np.random.default_rng(1).permutation(len(i))[:IMPOSTORS])
        i, j = i[thinned], j[thinned]
    return Trials(
        np.concatenate([trials.left[genuine], left[i]]),
        np.concatenate([trials.right[genuine], right[j]]),
        np.repeat([1, 0], [len(genuine), len(i)]),
        trials.sides,
        np.concatenate([trials.left_person[genuine], left_person[i]]),
        np.concatenate([trials.right_person[genuine], right_person[j]]),
    )


def model_scores(model: Model, trials: Trials, stores: Mapping[str, Matrix]) -> Matrix:
    """Scores (S, N) of a model's judges; rows of trials are rows of `stores`, by modality."""
    (left, right), sides = trials.sides, (trials.left, trials.right)
    if model.compares == "pairs":
        probes, candidates = rows_of(stores[left], trials.left), rows_of(stores[right], trials.right)
        return model.score(left, probes, right, candidates[:, None])[:, :, 0]
    vectors = []
    for modality, rows in zip(trials.sides, sides, strict=True):
        distinct, where = np.unique(rows, return_inverse=True)
        vectors.append(model.embed(modality, rows_of(stores[modality], distinct))[:, where])
    return similarity(*vectors)


def _distinct(trials: Trials, side: str) -> tuple[RowIndex, RowIndex]:
    """Distinct rows of one side, and the person of each."""
    rows, first = np.unique(getattr(trials, side), return_index=True)
    return rows, getattr(trials, f"{side}_person")[first]
