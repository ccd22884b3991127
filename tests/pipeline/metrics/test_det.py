"""DET points and the least detection cost against loops over every threshold."""

import numpy as np
import pytest

from pipeline.errors import ScoreError
from pipeline.metrics import det_curve, min_dcf
from tests.pipeline.metrics.test_rates import random_trials


@pytest.mark.parametrize("prior", [0.01, 0.05, 0.5, 0.9])
def test_least_cost_equals_that_of_a_loop_over_thresholds(prior: float) -> None:
    scores, labels = random_trials(1, 200, 1)
    costs = []
    for threshold in [*sorted(set(scores)), np.inf]:
        misses = np.mean(scores[labels == 1] < threshold)
        alarms = np.mean(scores[labels == 0] >= threshold)
        costs.append(prior * misses + (1 - prior) * alarms)
    assert min_dcf(scores, labels, prior) == pytest.approx(min(costs) / min(prior, 1 - prior), abs=1e-12)


def test_scores_that_decide_nothing_cost_one_and_perfect_ones_nothing() -> None:
    assert min_dcf([1.0, 1.0, 1.0], [1, 0, 0], 0.05) == 1.0
    assert min_dcf([2.0, 1.0, 1.0], [1, 0, 0], 0.05) == 0.0


def test_det_curve_trades_rejects_for_accepts_in_percent() -> None:
    curve = det_curve([3.0, 2.0, 2.0, 1.0], [1, 1, 0, 0])
    assert curve.false_accepts.tolist() == [0.0, 0.0, 50.0, 100.0]
    assert curve.false_rejects.tolist() == [100.0, 50.0, 0.0, 0.0]
    assert (np.diff(curve.thresholds) < 0).all()


def test_one_kind_of_trial_has_no_cost() -> None:
    with pytest.raises(ScoreError, match="genuine"):
        min_dcf([1.0, 2.0], [1, 1], 0.05)
