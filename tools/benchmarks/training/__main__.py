"""Epochs of VoxCeleb1's size, ours and the official script's: `python -m tools.benchmarks.training --folder FOLDER`.

109,922 random pairs of 901 people, one thread each, in turn; three seeds in two processes; what the 28 runs of the
paper's tables would take, an epoch of each kind times 50 epochs and three seeds. `--official` is a checkout of
github.com/msaadsaeed/SBNet, whose script runs as it stands, its test after each epoch left out; without it, and with
`--no-estimate`, that part is left out. Needs 1 GB of disk and, for the official script, 6 GB of memory.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from tools.benchmarks.fidelity.scripts import Epoch, Training, run_official
from tools.benchmarks.training.features import Size, write_feature_files
from tools.benchmarks.voxceleb_scale.stage import ROOT

_EPOCHS = 3  # of a process; the first, in which torch still imports parts of itself, is not counted
_TWO_PROCESSES = ([0, 1], [2])  # seeds of either
# Runs of params.yaml that cost alike: how many the paper's tables have, and which stands for them.
KINDS = {
    "single_fop": 5,
    "single_center": 5,
    "single_git": 5,
    "two_fop": 1,
    "two_center": 1,
    "two_git": 1,
    "voice_only_fop": 2 + 4,  # and the runs of order alternate: one modality an epoch
    "voice_only_center": 2,
    "voice_only_git": 2,
}
_PAPER_EPOCHS, _SEEDS = 50, 3

Found = dict[str, list[float]]


def main() -> int:
    """Measure and print Markdown."""
    arguments = _arguments()
    if arguments.official:
        _beside(arguments.folder, arguments.official, arguments.rounds)
    _say(in_two_processes())
    if not arguments.no_estimate:
        _estimate()
    return 0


def _beside(folder: Path, checkout: Path, rounds: int) -> None:
    """Either side in turn, so that a busy minute does not fall on one side alone."""
    features = folder / "features"
    write_feature_files(features, Size())
    theirs: list[Epoch] = []
    ours: Found = {}
    for _ in range(rounds):
        training = Training("sbnet", "fop", "vfvf")
        found = run_official(checkout, features, training, seed=1, epochs=_EPOCHS, threads=1, test=False)
        theirs += found[1:]
        own = our_epochs("single_fop", "official", [0])
        ours = {name: ours.get(name, []) + values for name, values in own.items()}
    wall = [median(epoch.trained for epoch in theirs), median(ours["wall"])]
    processor = [median(epoch.processor or 0.0 for epoch in theirs), median(ours["processor"])]
    _say("| | an epoch | of the processor | resident at most |\n|---|---|---|---|")
    _say(f"| official | {wall[0]:.1f} s | {processor[0]:.1f} s | |")
    _say(f"| ours | {wall[1]:.1f} s | {processor[1]:.1f} s | {max(ours['memory']):.0f} MB |")
    _say(f"| ours / official | {wall[1] / wall[0]:.2f} | {processor[1] / processor[0]:.2f} | |\n")


def in_two_processes() -> str:
    """Three seeds of a run under recipe official in two processes at once."""
    processes = [_start("single_fop", "official", seeds) for seeds in _TWO_PROCESSES]
    found = [_counted(_finish(process), len(seeds)) for process, seeds in zip(processes, _TWO_PROCESSES, strict=True)]
    walls, processors = ([sum(one[name]) / (_EPOCHS - 1) for one in found] for name in ("wall", "processor"))
    memory = ", ".join(f"{one['memory'][0]:.0f}" for one in found)
    return (
        f"three seeds in two processes: {max(walls):.1f} s an epoch of all three, {sum(processors):.1f} s of the "
        f"processors; resident at most {memory} MB\n"
    )


def _estimate() -> None:
    """An epoch of each kind of run under recipe paper, with its validation on 30,496 trials, and all runs' epochs."""
    _say("| kind | runs | epoch | validation | 50 epochs, 3 seeds, all its runs | resident at most |")
    _say("|---|---|---|---|---|---|")
    total = 0.0
    for run, runs in KINDS.items():
        found = our_epochs(run, "paper", [0], epochs=2)
        epoch, validation = found["processor"][0], found["validation"][0]
        hours = runs * _PAPER_EPOCHS * _SEEDS * (epoch + validation) / 3600
        total += hours
        memory = f"{found['memory'][0]:.0f} MB"
        _say(f"| {run} | {runs} | {epoch:.1f} s | {validation:.1f} s | {hours:.1f} h | {memory} |")
    _say(f"\n{sum(KINDS.values())} runs: {total:.1f} hours of one core, by {_SEEDS} seeds and {_PAPER_EPOCHS} epochs")


def our_epochs(run: str, recipe: str, seeds: Sequence[int], epochs: int = _EPOCHS) -> Found:
    """What our_epochs.py prints, without the first epoch; raises RuntimeError with its last words where it fails."""
    return _counted(_finish(_start(run, recipe, seeds, epochs)), len(seeds))


def _counted(found: Found, seeds: int) -> Found:
    """Without the first epoch of each seed; memory is of the process."""
    return {name: values if name == "memory" else values[seeds:] for name, values in found.items()}


def _start(run: str, recipe: str, seeds: Sequence[int], epochs: int = _EPOCHS) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tools.benchmarks.training.our_epochs", run, "--recipe", recipe]
    command += ["--epochs", str(epochs), "--seeds", *map(str, seeds)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _finish(process: "subprocess.Popen[str]") -> Found:
    words, errors = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{process.args} failed:\n{errors[-2000:]}")
    found: dict[str, Any] = json.loads(words.strip().splitlines()[-1])
    return found


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where feature files for the official script go")
    parser.add_argument("--official", type=Path, help="checkout of github.com/msaadsaeed/SBNet")
    parser.add_argument("--rounds", type=int, default=2, help="of either side, in turn")
    parser.add_argument("--no-estimate", action="store_true", help="leave out the 28 runs")
    return parser.parse_args()


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
