"""`dvc repro` with the runs of params.yaml side by side: `python -m tools.parallel_repro [--jobs N]`.

DVC runs one stage after another, and a run trains on one core, so that the other cores wait. Here everything that runs
depend on is made first; then N processes of `dvc repro` train and evaluate a share each of the runs that DVC finds
changed, which it allows as they write different files; last comes a plain `dvc repro`, which makes what is left.
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil

from pipeline.config import load_params
from pipeline.extraction.limits import cores
from stages.common import PARAMS, run_command

_DVC = (sys.executable, "-m", "dvc")
_BEFORE = ("settings", "protocol")  # and what these depend on: all that a run needs
_ON_A_GPU = 4  # runs at a time, by default: each has some hundred MB there for itself
_TERMINATED = 143  # exit status of a process that SIGTERM ends


def lanes(runs: Sequence[str], jobs: int) -> list[list[str]]:
    """The stages of all runs, divided into at most `jobs` lists; each run whole, training before evaluation."""
    shares = [runs[number::jobs] for number in range(jobs)]
    return [[f"{stage}@{run}" for run in share for stage in ("train", "evaluate")] for share in shares if share]


def main() -> None:
    """Reproduce everything; the exit status is that of the first DVC that failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    usual = min(cores(), _ON_A_GPU) if _may_use_a_gpu() else cores()
    words = f"runs at a time (default: the number of cores, SBNET_CORES; with a GPU {_ON_A_GPU} at most)"
    parser.add_argument("--jobs", type=int, default=usual, help=words)
    jobs = max(1, parser.parse_args().jobs)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))
    if jobs > 1 and _changed():
        _finish([subprocess.Popen([*_DVC, "repro", *_BEFORE])])
        # The stages that list media always run: what has changed behind them is known only now.
        stages = {stage for stage in _changed() if not stage.startswith("media@")}
        runs = [run for run in load_params(PARAMS).experiments if {f"train@{run}", f"evaluate@{run}"} & stages]
        # Stages by themselves: what they depend on is done, and two processes that look at one would lock each other.
        shares = lanes(runs, jobs)
        command = [*_DVC, "--wait-for-lock", "repro", "--single-item"]
        _finish([subprocess.Popen([*command, *share], env=_own_threads(len(shares))) for share in shares])
    _finish([subprocess.Popen([*_DVC, "repro"])])


def _changed() -> set[str]:
    """The stages that DVC would run, with those that it always runs."""
    answer = subprocess.run([*_DVC, "status", "--json"], stdout=subprocess.PIPE, check=False)
    if answer.returncode:
        sys.exit(answer.returncode)  # DVC has said why
    return set(json.loads(answer.stdout))


def _may_use_a_gpu() -> bool:
    return os.environ.get("SBNET_DEVICE") != "cpu" and any(Path("/dev").glob("nvidia[0-9]*"))


def _own_threads(processes: int) -> dict[str, str]:
    """The environment of a process that shares the cores with others."""
    threads = max(1, cores() // processes)
    return {"OMP_NUM_THREADS": str(threads), **os.environ}


def _end(processes: Sequence["subprocess.Popen[bytes]"]) -> None:
    """End them and the stages that they started: DVC itself would leave these running."""
    family = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            family += [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    for one in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.terminate()


def _finish(processes: Sequence["subprocess.Popen[bytes]"]) -> None:
    """Wait for all; leave with the status of the first that failed, after the others have ended, too."""
    try:
        codes = [process.wait() for process in processes]
    except BaseException as error:
        if not isinstance(error, KeyboardInterrupt):  # which the terminal has sent to all
            _end(processes)
        for process in processes:
            process.wait()
        raise
    if failed := next((code for code in codes if code), 0):
        sys.exit(failed)


if __name__ == "__main__":
    if not Path("dvc.yaml").exists():
        sys.exit("run from the project's root, which holds dvc.yaml")
    run_command(main)
