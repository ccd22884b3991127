"""The timed evaluation measures what it says, whatever the seconds."""

import re
import subprocess
import sys

from tests.stages.project import ROOT


def test_command_of_the_readme_prints_seconds_and_what_was_found() -> None:
    command = [sys.executable, "-m", "tools.benchmarks.evaluation"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(r"exact rates and intervals +[\d.]+ s   EER 12\.15 \[11\.\d+, 12\.\d+\], AUC 94\.90", done.stdout)
    assert "accuracy 87.8115" in done.stdout, "as tools/benchmarks/README.md has it of both grids"
