"""Lines now and then where a stage writes into a log."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = """
from pipeline.runtime.progress import progress
with progress(total=50, desc="stage") as bar:
    for _ in range(50):
        bar.update()
"""


def states_written(**environment: str) -> int:
    """How often a bar of fifty steps is written where stderr is no terminal."""
    mine = {name: value for name, value in os.environ.items() if name != "TQDM_MININTERVAL"}
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, cwd=ROOT, env={**mine, **environment}, capture_output=True, text=True, check=True)
    return done.stderr.count("stage:")


def test_a_log_gets_the_first_and_the_last_state_only() -> None:
    assert 1 <= states_written() <= 2


def test_the_environment_has_the_last_word() -> None:
    assert states_written(TQDM_MININTERVAL="0") > 10
