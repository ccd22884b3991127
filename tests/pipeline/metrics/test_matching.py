"""1:N matching: nested galleries, and ties that lose."""

import numpy as np
import pytest

from pipeline.errors import ScoreError
from pipeline.metrics import matching_accuracy, matching_hits


def test_genuine_must_beat_the_first_impostors_only() -> None:
    genuine, impostors = [0.5], [[0.1, 0.2, 0.9]]
    assert [bool(matching_hits(genuine, impostors, size)[0]) for size in (2, 3, 4)] == [True, True, False]


def test_tie_is_an_error() -> None:
    assert matching_accuracy([0.5, 0.5], [[0.5], [0.4]], 2) == 50.0
    assert matching_accuracy(np.zeros(8), np.zeros((8, 9)), 10) == 0.0


def test_accuracy_falls_as_galleries_grow_and_random_scores_find_one_in_n() -> None:
    rng = np.random.default_rng(0)
    genuine, impostors = rng.normal(size=20_000), rng.normal(size=(20_000, 9))
    accuracies = [matching_accuracy(genuine, impostors, size) for size in range(2, 11)]
    assert accuracies == sorted(accuracies, reverse=True)
    assert accuracies == pytest.approx([100 / size for size in range(2, 11)], abs=1.5)


@pytest.mark.parametrize(
    ("genuine", "impostors", "size", "message"),
    [
        ([0.5], [[0.1]], 3, "1:3 matching needs"),
        ([0.5], [[0.1]], 1, "1:1 matching"),
        ([0.5, 0.4], [[0.1]], 2, r"\(P, G\)"),
        ([], np.zeros((0, 3)), 2, r"\(P, G\)"),
        ([np.nan], [[0.1]], 2, "not finite"),
        ([0.5], [[np.inf]], 2, "not finite"),
    ],
)
def test_broken_galleries_are_refused(
    genuine: list[float], impostors: list[list[float]], size: int, message: str
) -> None:
    with pytest.raises(ScoreError, match=message):
        matching_accuracy(genuine, impostors, size)
