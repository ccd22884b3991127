"""Which errors are the surest: against a plain sort of all trials of a list, and of all galleries."""

import numpy as np
import pandas as pd
import pytest

from pipeline.evaluation.lists import candidates
from pipeline.metrics import equal_error_rate
from pipeline.protocol.vocabulary import MATCHING_TASKS
from pipeline.report.trials import hard_galleries, wrong_trials
from tests.pipeline.evaluation.planted import NoisyEncoder, planted_lists, probes, stores, trials


def scored(*lists: pd.DataFrame) -> pd.DataFrame:
    """Lists with scores of two models, genuine pairs a little higher."""
    rng = np.random.default_rng(0)
    tables = []
    for table in lists:
        noise = rng.normal(size=(2, len(table)))
        tables.append(table.assign(score_0=table["label"] + noise[0], score_1=2 * table["label"] + noise[1]))
    return pd.concat(tables, ignore_index=True)


SCORES = scored(
    trials("unseen_unheard", "cross_modal", "G", seed=3),
    trials("unseen_unheard", "cross_modal", "random"),
    trials("unseen_unheard", "face", "random", seed=5),
    trials("seen_heard", "cross_modal", "random", seed=7),
)


def of_list(criterion: str, task: str = "cross_modal") -> list[tuple[float, int, int, int]]:
    """Score, label, left and right row of every trial of an unseen-unheard list."""
    own = SCORES[(SCORES["regime"] == "unseen_unheard") & (SCORES["task"] == task)]
    rows = own[own["criterion"] == criterion].itertuples(index=False)
    return [((row.score_0 + row.score_1) / 2, row.label, row.left_row, row.right_row) for row in rows]


@pytest.mark.parametrize(("modality", "task"), [("both", "cross_modal"), ("face", "face")])
def test_wrong_accepts_and_rejects_are_the_surest_of_their_list(modality: str, task: str) -> None:
    found = wrong_trials(SCORES, modality, 5)
    criteria = ["random", "G"] if task == "cross_modal" else ["random"]
    assert list(dict.fromkeys(wrong.criterion for wrong in found)) == criteria
    for criterion in criteria:
        trials_of = of_list(criterion, task)
        accepts = sorted((trial for trial in trials_of if trial[1] == 0), reverse=True)[:5]
        rejects = sorted(trial for trial in trials_of if trial[1] == 1)[:5]
        own = [wrong for wrong in found if wrong.criterion == criterion]
        for accepted, wanted in ((True, accepts), (False, rejects)):
            kind = [wrong for wrong in own if wrong.accepted == accepted]
            assert [(wrong.score, wrong.left.row, wrong.right.row) for wrong in kind] == [
                (pytest.approx(score), left, right) for score, _, left, right in wanted
            ]
            others = [score for score, label, _, _ in trials_of if label == accepted]
            for wrong in kind:
                lesser = [score for score in others if (score < wrong.score) == accepted and score != wrong.score]
                assert wrong.beaten == pytest.approx(100 * len(lesser) / len(others))


def test_sides_are_of_the_modalities_of_the_task() -> None:
    (first, *_) = wrong_trials(SCORES, "both", 1)
    assert (first.left.modality, first.right.modality) == ("voice", "face")
    (first, *_) = wrong_trials(SCORES, "face", 1)
    assert (first.left.modality, first.right.modality) == ("face", "face")


def test_only_what_is_beyond_the_threshold_of_equal_errors_is_an_error() -> None:
    everything = wrong_trials(SCORES, "both", 10_000)
    scores, labels = np.array(of_list("random"))[:, :2].T
    own = [wrong for wrong in everything if wrong.criterion == "random"]
    assert len({wrong.threshold for wrong in own}) == 1
    accepts, rejects = (sum(wrong.accepted == accepted for wrong in own) for accepted in (True, False))
    assert accepts == ((labels == 0) & (scores >= own[0].threshold)).sum()
    assert rejects == ((labels == 1) & (scores < own[0].threshold)).sum()
    assert accepts / 120 == pytest.approx(equal_error_rate(scores, labels) / 100, abs=1 / 120)
    assert rejects / 120 == pytest.approx(equal_error_rate(scores, labels) / 100, abs=1 / 120)


def test_list_of_one_kind_and_a_run_without_trials_have_no_wrong_trials() -> None:
    assert wrong_trials(SCORES[SCORES["label"] == 1], "both", 5) == []
    assert wrong_trials(SCORES.iloc[:0], "both", 5) == []


def test_hardest_galleries_are_those_in_which_the_genuine_candidate_is_furthest_behind() -> None:
    faces, voices = stores(3.0)
    lists = planted_lists(faces, voices)
    model = NoisyEncoder(2, 0.1)
    found = hard_galleries(model, lists, faces, voices, "both", 4)
    assert [gallery.task.name for gallery in found] == ["v2f"] * 4 + ["f2v"] * 4
    for name in ("v2f", "f2v"):
        task, table = MATCHING_TASKS[name], probes("unseen_unheard", name)
        vectors = {"face": faces.matrix, "voice": voices.matrix}
        left, right = (model.embed(side, vectors[side]) for side in task.sides)
        margins = []
        for probe, rows in zip(table["probe_row"], candidates(table), strict=True):
            scores = [-np.mean([np.sum((left[m, probe] - right[m, row]) ** 2) for m in range(2)]) for row in rows]
            margins.append((scores[0] - max(scores[1:]), probe, rows, scores))
        hardest = sorted(margins, key=lambda margin: margin[0])[:4]
        for gallery, (_, probe, rows, scores) in zip([g for g in found if g.task == task], hardest, strict=True):
            assert gallery.probe.row == probe and gallery.genuine.row == rows[0]
            assert gallery.rank == 1 + sum(score >= scores[0] for score in scores[1:])
            shown = {sample.row: score for sample, score in gallery.candidates}
            assert list(shown.values()) == sorted(shown.values(), reverse=True)
            assert shown == {row: pytest.approx(score, abs=1e-5) for row, score in zip(rows, scores, strict=True)}


def test_gallery_that_is_solved_is_not_shown() -> None:
    faces, voices = stores(0.0)
    assert hard_galleries(NoisyEncoder(1, 0.0), planted_lists(faces, voices), faces, voices, "both", 4) == []


def test_run_of_one_modality_is_shown_galleries_of_it() -> None:
    faces, voices = stores(3.0)
    found = hard_galleries(NoisyEncoder(1, 0.1), planted_lists(faces, voices), faces, voices, "face", 3)
    assert [gallery.task.name for gallery in found] == ["f2f"] * 3
