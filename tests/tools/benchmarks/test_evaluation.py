"""The timed evaluation measures what it says, whatever the seconds."""

import re
import subprocess
import sys

from tests.stages.project import ROOT


def test_command_of_the_readme_prints_seconds_and_what_was_found() -> None:
    command = [sys.executable, "-m", "tools.benchmarks.evaluation"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    line = r"exact rates and intervals +[\d.]+ s   EER ([\d.]+) \[([\d.]+), ([\d.]+)\], AUC ([\d.]+)\n"
    found = re.search(line, done.stdout)
    assert found is not None, done.stdout
    eer, low, high, auc = map(float, found.groups())
    assert 0 < low < eer < high < 50 < auc < 100
    grid = re.search(r"official grid, ours +[\d.]+ s   accuracy ([\d.]+)\n", done.stdout)
    assert grid is not None and abs(float(grid[1]) - (100 - eer)) < 1.0  # so many genuine trials as impostors
