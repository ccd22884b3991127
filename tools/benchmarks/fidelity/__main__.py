"""Official training scripts and ours on the same feature files: `python -m tools.benchmarks.fidelity`.

`--official` is a checkout of github.com/msaadsaeed/SBNet: its single branch with FOP in PyTorch, with Center and Git in
TensorFlow 1, for which `--tensorflow` names an interpreter. `--two-branch` is one of github.com/msaadsaeed/FOP: the
other has no training script for two branches, and neither has one for two branches with Center or Git. What is not at
hand is named and left out. Both sides choose on the test list, the official code's way. Its EER is of its ten-fold
grid, ours exact. Its classifier has 901 outputs whatever the files hold, ours as many as there are people.
"""

import argparse
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from tools.benchmarks.fidelity.ours import prepare_ours, train_ours
from tools.benchmarks.fidelity.scripts import (
    READ,
    SCRIPTS,
    SLOW,
    TENSORFLOW_PACKAGES,
    Training,
    missing_packages,
    remembered_official,
)

_SIDES = ("theirs", "ours")


@dataclass(frozen=True)
class Available:
    """What can be run, and from which checkout by which interpreter."""

    trainings: dict[Training, tuple[Path, str]]
    left_out: list[str]


def main() -> int:
    """Run both sides of one training after another, write fidelity.csv and epochs.csv, print the table."""
    arguments = _arguments()
    folder: Path = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    features = arguments.features or _exported(folder / "features")
    if absent := [item for item in READ if not (features / item).is_file()]:
        raise SystemExit(f"{features / absent[0]} does not exist: --features is a folder of the official feature files")
    available = _available(arguments)
    for line in available.left_out:
        _say(line)
    seeds, epochs, project = arguments.seeds, arguments.epochs, folder / "ours"
    prepare_ours(project, features, list(available.trainings), seeds, epochs)
    results: list[pd.DataFrame] = []
    course: list[pd.DataFrame] = []
    for training, (checkout, python) in available.trainings.items():
        ours = train_ours(project, training)
        remembered = partial(remembered_official, folder / "official", checkout, features, training, epochs, python)
        with ThreadPoolExecutor(arguments.jobs) as pool:
            runs = list(pool.map(remembered, seeds))
        theirs = {seed: [epoch.eer for epoch in run] for seed, run in zip(seeds, runs, strict=True)}
        rows, epoch_rows = side_by_side(training, theirs, ours)
        results, course = [*results, rows], [*course, epoch_rows]
        pd.concat(results).to_csv(folder / "fidelity.csv", index=False, float_format="%.3f")
        pd.concat(course).to_csv(folder / "epochs.csv", index=False, float_format="%.3f")
        _say("\n".join(table_of(rows).splitlines()[0 if len(results) == 1 else 2 :]))
    _say(f"{epochs} epochs, seeds {seeds}; every run: {folder / 'fidelity.csv'}, every epoch: epochs.csv")
    return 0


def side_by_side(
    training: Training, theirs: dict[int, list[float]], ours: dict[int, list[float]]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Best and last EER of each seed and side, a row each; and the EER after every epoch."""
    rows, course = [], []
    for seed in theirs:
        for side, found in zip(_SIDES, (theirs, ours), strict=True):
            eers = found[seed]
            key = {"training": training.words, "seed": seed, "side": side}
            best = {"best_eer": min(eers), "best_epoch": eers.index(min(eers)) + 1, "last_eer": eers[-1]}
            rows.append({**key, **best, "epochs": len(eers)})
            course += [{**key, "epoch": epoch, "eer": eer} for epoch, eer in enumerate(eers, start=1)]
    return pd.DataFrame(rows), pd.DataFrame(course)


def table_of(results: pd.DataFrame) -> str:
    """Markdown: mean over the seeds, and in brackets the lowest and highest, of best and last EER on either side."""
    head = "| training | best, theirs | best, ours | last, theirs | last, ours |"
    lines = [head, "|---|---|---|---|---|"]
    for training, runs in results.groupby("training", sort=False):
        by_side = {side: runs[runs["side"] == side] for side in _SIDES}
        cells = [_spread(by_side[side][f"{when}_eer"]) for when in ("best", "last") for side in _SIDES]
        lines.append(f"| {training} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _spread(eers: "pd.Series[float]") -> str:
    return f"{eers.mean():.1f} [{eers.min():.1f}, {eers.max():.1f}]"


def _available(arguments: argparse.Namespace) -> Available:
    trainings: dict[Training, tuple[Path, str]] = {}
    left_out = []
    slow_rate = f"{arguments.slow_rate:g}" if arguments.slow_rate else ""
    for loss in arguments.losses:
        python = sys.executable if loss == "fop" else arguments.tensorflow
        if loss != "fop" and (reason := missing_packages(python)):
            made = f"python -m venv tf; tf/bin/pip install {TENSORFLOW_PACKAGES}; then --tensorflow tf/bin/python"
            left_out.append(f"{loss} left out, because the official script needs TensorFlow ({reason}). {made}")
            continue
        rate = slow_rate if SCRIPTS["sbnet", loss].rate == SLOW else ""
        trainings |= {Training("sbnet", loss, order, rate): (arguments.official, python) for order in arguments.orders}
    if "fop" in arguments.losses and arguments.two_branch:
        trainings[Training("two_branch", "fop", "", slow_rate)] = (arguments.two_branch, sys.executable)
    elif "fop" in arguments.losses:
        left_out.append(
            "two branches left out: --two-branch is a checkout of github.com/msaadsaeed/FOP, which trains them"
        )
    return Available(trainings, left_out)


def _exported(folder: Path) -> Path:
    """The feature files of artifacts/, made once: remove the folder to have them made anew."""
    if not folder.exists():
        command = [sys.executable, "-m", "stages.export", "--to", "authors-csv", "--out", str(folder)]
        if subprocess.run(command, check=False).returncode:
            raise SystemExit("nothing to compare on: run `dvc repro` first, or name a folder with --features")
    return folder


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--official", type=Path, required=True, help="checkout of msaadsaeed/SBNet")
    parser.add_argument("--two-branch", type=Path, help="checkout of msaadsaeed/FOP")
    parser.add_argument("--tensorflow", default=sys.executable, help="interpreter with TensorFlow, for Center and Git")
    parser.add_argument("--features", type=Path, help="folder of feature files; those of artifacts/ by default")
    parser.add_argument("--folder", type=Path, required=True, help="where the work is done and kept")
    parser.add_argument("--losses", nargs="+", default=["fop", "center", "git"], choices=["fop", "center", "git"])
    orders = ["vfvf", "fvfv", "random", "hefhev", "hevhef"]
    parser.add_argument("--orders", nargs="+", default=["vfvf", "random", "hefhev"], choices=orders)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument(
        "--slow-rate", type=float, help=f"learning rate, on both sides, where the official one is {SLOW}"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--jobs", type=int, default=1, help="official scripts at a time")
    return parser.parse_args()


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
