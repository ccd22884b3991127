"""EER, AUC and intervals of both and of minDCF, on a list of VoxCeleb1's size.

`python -m benchmarks.evaluation` prints the seconds.
"""

import sys
import time

import numpy as np

from pipeline.metrics import IdentityResamples, equal_error_rate, roc_auc, verification_intervals

_TRIALS, _PEOPLE, _RESAMPLES = 30_496, 250, 1000


def main() -> None:
    """Time one evaluation of random scores; people repeat as they do in the released lists."""
    rng = np.random.default_rng(0)
    labels = np.arange(_TRIALS) % 2
    left = rng.integers(0, _PEOPLE, _TRIALS)
    right = np.where(labels == 1, left, (left + rng.integers(1, _PEOPLE, _TRIALS)) % _PEOPLE)
    scores = rng.normal(size=_TRIALS) + labels
    start = time.perf_counter()
    eer, auc = equal_error_rate(scores, labels), roc_auc(scores, labels)
    verification_intervals(scores, labels, left, right, IdentityResamples(left, _RESAMPLES, 0), 0.95, 0.05)
    sys.stdout.write(f"EER {eer:.2f}, AUC {auc:.2f}, interval: {time.perf_counter() - start:.2f} s\n")


if __name__ == "__main__":
    main()
