"""The official ten-fold grid: the official code's own figures, and a plain loop over its description."""

import numpy as np
import pytest

from pipeline.errors import ScoreError
from pipeline.metrics import equal_error_rate, official_rates
from tests.oracles import inputs, stored


def naive_official(distances: np.ndarray, labels: np.ndarray) -> tuple[float, float, float]:
    thresholds = np.arange(0, 4, 0.01)
    folds = np.array_split(np.arange(len(distances)), 10)
    true_accepts, false_accepts, accuracies = [], [], []
    for fold in folds:
        rest = np.setdiff1d(np.arange(len(distances)), fold)
        correct = [np.mean((distances[rest] < threshold) == labels[rest]) for threshold in thresholds]
        best = thresholds[int(np.argmax(correct))]
        accuracies.append(np.mean((distances[fold] < best) == labels[fold]))
        genuine, impostors = distances[fold][labels[fold]], distances[fold][~labels[fold]]
        true_accepts.append([np.mean(genuine < t) if len(genuine) else 0.0 for t in thresholds])
        false_accepts.append([np.mean(impostors < t) if len(impostors) else 0.0 for t in thresholds])
    hits, alarms = np.mean(true_accepts, axis=0), np.mean(false_accepts, axis=0)
    nearest = int(np.argmin(np.abs(alarms - (1 - hits))))
    area = sum((alarms[i + 1] - alarms[i]) * (hits[i] + hits[i + 1]) / 2 for i in range(len(hits) - 1))
    return 50 * (alarms[nearest] + 1 - hits[nearest]), 100 * area, 100 * float(np.mean(accuracies))


def random_distances(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.random(count) < 0.5
    return np.clip(rng.normal(2.0 - labels, 0.6), 0.0, 4.0), labels


@pytest.mark.parametrize("count", [200, 203, 17])  # 203: folds of unequal size; 17: folds that may lack a kind
def test_rates_equal_those_of_a_plain_loop(count: int) -> None:
    distances, labels = random_distances(count, count)
    rates = official_rates(distances, labels)
    assert (rates.eer, rates.auc, rates.accuracy) == pytest.approx(naive_official(distances, labels), abs=1e-9)


def test_rates_equal_those_the_official_code_gave() -> None:
    left, right = inputs.trials()
    distances = np.square(left - right).sum(axis=1)
    rates, oracle = official_rates(distances, np.arange(len(distances)) % 2 == 0), stored("fop")
    for name in ("eer", "auc", "accuracy"):
        assert getattr(rates, name) / 100 == pytest.approx(float(oracle[f"grid/{name}"]), abs=1e-6)


def test_no_trial_of_the_oracle_is_so_near_a_threshold_that_rounding_could_move_it() -> None:
    left, right = inputs.trials()
    distances = np.square(left - right).sum(axis=1)
    assert np.abs(distances[:, None] - np.arange(0, 4, 0.01)).min() > 1e-8


def test_grid_differs_from_the_exact_rate_by_little() -> None:
    distances, labels = random_distances(0, 20_000)
    exact = equal_error_rate(-distances, labels)
    assert official_rates(distances, labels).eer == pytest.approx(exact, abs=0.5)


def test_fewer_trials_than_folds_are_refused() -> None:
    with pytest.raises(ScoreError, match="9 trials cannot fill 10 folds"):
        official_rates(np.linspace(0, 1, 9), np.arange(9) % 2)
