"""The benchmark of intervals counts right, and its command runs."""

import subprocess
import sys

import numpy as np
import pytest

from tests.stages.project import ROOT
from tools.benchmarks.interval_coverage import POPULATIONS, coverage

HARD = POPULATIONS["as across modalities"]


def test_intervals_of_many_people_hold_the_truth_and_not_another() -> None:
    truth = HARD.truth(np.random.default_rng(0))
    held = coverage(HARD, 64, truth, 40, np.random.default_rng(1))
    assert all(share >= 85.0 for _, share in held.values()), held
    wrong = {"eer": truth["eer"] + 20.0, "auc": truth["auc"] - 20.0, "min_dcf": truth["min_dcf"] - 0.5}
    missed = coverage(HARD, 64, wrong, 5, np.random.default_rng(1))
    assert missed == {"eer": (100.0, 0.0), "auc": (0.0, 0.0), "min_dcf": (0.0, 0.0)}


def test_truth_of_two_populations_differs_as_their_names_say() -> None:
    hard, easy = (population.truth(np.random.default_rng(0)) for population in POPULATIONS.values())
    assert (hard["eer"], easy["eer"]) == (pytest.approx(23.9, abs=0.2), pytest.approx(1.38, abs=0.1))


def test_command_of_the_readme_prints_a_line_for_each_number_of_people() -> None:
    command = [sys.executable, "-m", "tools.benchmarks.interval_coverage", "--samples", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(" people: eer ") == 12
