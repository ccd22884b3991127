"""One list of VoxCeleb1's size: `python -m tools.benchmarks.evaluation [--official CHECKOUT]` prints the seconds.

EER, AUC and minDCF with their intervals, then the official ten-fold grid by our arithmetic. With a clone of
github.com/msaadsaeed/SBNet also by its own code (`calculate_roc` of ssnet_fop/online_evaluation.py, as it stands), on
the same embeddings; the accuracy of both is shown, which must agree. Its `evaluate` goes through the thresholds once
more, ten times as densely, for a rate that the paper does not print; today's SciPy refuses that part.
"""

import argparse
import importlib.util
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.metrics import (
    IdentityResamples,
    equal_error_rate,
    official_rates,
    roc_auc,
    verification_intervals,
)
from pipeline.metrics.official_grid import THRESHOLDS

_TRIALS, _PEOPLE, _RESAMPLES, _WIDTH = 30_496, 250, 1000, 128
_NOISE = 2.0  # of an embedding, its person being 1


def main() -> None:
    """Time one evaluation of noisy embeddings; people repeat as they do in the released lists."""
    parser = argparse.ArgumentParser(prog="python -m tools.benchmarks.evaluation", description=__doc__)
    parser.add_argument("--official", type=Path, help="checkout of the official repository, to time its grid as well")
    official = parser.parse_args().official
    rng = np.random.default_rng(0)
    labels = 1 - np.arange(_TRIALS) % 2  # the official code takes even trials for genuine
    left = rng.integers(0, _PEOPLE, _TRIALS)
    right = np.where(labels == 1, left, (left + rng.integers(1, _PEOPLE, _TRIALS)) % _PEOPLE)
    people = rng.normal(size=(_PEOPLE, _WIDTH))
    voices, faces = _unit(rng, people[left]), _unit(rng, people[right])
    distances = np.square(voices - faces).sum(axis=1)

    def ours() -> str:
        eer, auc = equal_error_rate(-distances, labels), roc_auc(-distances, labels)
        draws = IdentityResamples(left, _RESAMPLES, 0)
        bounds = verification_intervals(-distances, labels, left, right, draws, 0.95, 0.05)
        assert bounds is not None
        return f"EER {eer:.2f} [{bounds.eer.low:.2f}, {bounds.eer.high:.2f}], AUC {auc:.2f}"

    _timed("exact rates and intervals", ours)
    _timed("official grid, ours", lambda: f"accuracy {official_rates(distances, labels).accuracy:.4f}")
    if official:
        code = _official(official)

        def theirs() -> str:
            accuracy = code.calculate_roc(THRESHOLDS, voices, faces, labels == 1)[2]
            return f"accuracy {100 * np.mean(accuracy):.4f}"

        _timed("official grid, theirs", theirs)


def _unit(rng: np.random.Generator, people: np.ndarray) -> np.ndarray:
    noisy = people + _NOISE * rng.normal(size=people.shape)
    unit: np.ndarray = (noisy / np.linalg.norm(noisy, axis=1, keepdims=True)).astype(np.float32)
    return unit


def _timed(name: str, work: Callable[[], str]) -> None:
    start = time.perf_counter()
    found = work()
    sys.stdout.write(f"{name:28s}{time.perf_counter() - start:8.2f} s   {found}\n")


def _official(checkout: Path) -> Any:
    spec = importlib.util.spec_from_file_location(
        "official_evaluation", checkout / "ssnet_fop" / "online_evaluation.py"
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
