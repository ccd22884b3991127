"""`dvc repro` with the runs of params.yaml side by side: `python -m tools.parallel_repro [--jobs N]`.

DVC runs one stage after another, and a run trains on one core, so that the other cores wait. Here everything that runs
depend on is made first; then N processes of `dvc repro` train and evaluate a share each of the runs that DVC finds
changed, which it allows as they write different files; last comes a plain `dvc repro`, which makes what is left.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline.config import load_params
from stages.common import PARAMS, run_command

_DVC = (sys.executable, "-m", "dvc")
_BEFORE = ("settings", "protocol")  # and what these depend on: all that a run needs


def lanes(runs: Sequence[str], jobs: int) -> list[list[str]]:
    """The stages of all runs, divided into at most `jobs` lists; each run whole, training before evaluation."""
    shares = [runs[number::jobs] for number in range(jobs)]
    return [[f"{stage}@{run}" for run in share for stage in ("train", "evaluate")] for share in shares if share]


def main() -> None:
    """Reproduce everything; the exit status is that of the first DVC that failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    parser.add_argument("--jobs", type=int, default=cores, help="runs at a time (default: the number of cores)")
    jobs = max(1, parser.parse_args().jobs)
    if jobs > 1 and _changed():
        _finish([subprocess.Popen([*_DVC, "repro", *_BEFORE])])
        stages = _changed()
        runs = [run for run in load_params(PARAMS).experiments if {f"train@{run}", f"evaluate@{run}"} & stages]
        # Stages by themselves: what they depend on is done, and two processes that look at one would lock each other.
        shares = lanes(runs, jobs)
        command = [*_DVC, "--wait-for-lock", "repro", "--single-item"]
        _finish([subprocess.Popen([*command, *share], env=_own_threads(len(shares))) for share in shares])
    _finish([subprocess.Popen([*_DVC, "repro"])])


def _changed() -> set[str]:
    """The stages that DVC would run, without the one that it always runs."""
    answer = subprocess.run([*_DVC, "status", "--json"], stdout=subprocess.PIPE, check=False)
    if answer.returncode:
        sys.exit(answer.returncode)  # DVC has said why
    return {stage for stage in json.loads(answer.stdout) if not stage.startswith("media@")}


def _own_threads(processes: int) -> dict[str, str]:
    """The environment of a process that shares the cores with others."""
    threads = max(1, (os.cpu_count() or 1) // processes)
    return {"OMP_NUM_THREADS": str(threads), **os.environ}


def _finish(processes: Sequence["subprocess.Popen[bytes]"]) -> None:
    """Wait for all; leave with the status of the first that failed, after the others have ended, too."""
    try:
        codes = [process.wait() for process in processes]
    except KeyboardInterrupt:
        for process in processes:
            process.wait()
        raise
    if failed := next((code for code in codes if code), 0):
        sys.exit(failed)


if __name__ == "__main__":
    if not Path("dvc.yaml").exists():
        sys.exit("run from the project's root, which holds dvc.yaml")
    run_command(main)
