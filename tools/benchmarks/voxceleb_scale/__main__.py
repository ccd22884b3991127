"""Methods at VoxCeleb1's size, on planted embeddings: `python -m tools.benchmarks.voxceleb_scale`.

Prints how well anybody could do, then a line a run of `--methods` (means and deviations over seeds), then those of
`--controls` with voices exchanged, `--exchanges` times, and the mean over these, whose interval must hold 50 where
impostors are alike in all that is known of people. Stopped, it goes on where it was.
"""

import argparse
import sys
from pathlib import Path

import pandas as pd

from tools.benchmarks.voxceleb_scale.control import JUDGED, interval, write_control
from tools.benchmarks.voxceleb_scale.methods import Bench, described, every_method, heading
from tools.benchmarks.voxceleb_scale.oracle import limits
from tools.benchmarks.voxceleb_scale.world import Size, open_world


def main() -> int:
    """Run everything; the exit status is 1 if a run is at chance or the control is not."""
    arguments = _arguments()
    size = Size(arguments.train, arguments.validation, arguments.test, arguments.pairs, arguments.trials)
    folder: Path = arguments.folder
    if arguments.exchanges < 2:
        _say("--exchanges: two at least, for one alone cannot say how far it is off by chance")
        return 2
    names = every_method() if arguments.methods == ["all"] else arguments.methods
    project = folder / "planted"
    world = open_world(project, size, arguments.seed, arguments.seeds)
    _say(heading())
    _say(described({"run": "(likelihood ratio)", **limits(world, project / "artifacts" / "protocol")}))
    results = Bench(project, arguments.epochs, arguments.rates, arguments.seeds[0], _say).results(names)
    failures = list(results.loc[results["auc_low"] <= 50.0, "run"])
    by_exchange = [_control(arguments, project, exchange) for exchange in range(1, arguments.exchanges + 1)]
    controlled = pd.concat(by_exchange).groupby("run", sort=False)
    for name, runs in controlled:
        mean, low, high = interval(runs[JUDGED])
        judged = f"AUC of impostors alike in gender, nationality and age {mean:.1f} [{low:.1f}, {high:.1f}]"
        _say(f"control {name}: {judged}, of all {runs['auc'].mean():.1f}, {len(runs)} exchanges")
        failures += [f"control {name}"] if low > 50.0 or high < 50.0 else []
    _say(f"failed: {', '.join(failures)}" if failures else "every run beats chance, no control does")
    return 1 if failures else 0


def _control(arguments: argparse.Namespace, project: Path, exchange: int) -> pd.DataFrame:
    """Results of the controls with one exchange of voices: a world whose seed is the exchange's."""
    control = arguments.folder / f"control_{exchange}"
    write_control(project, control, exchange)

    def say(line: str) -> None:
        _say(f"exchange {exchange}: {line}")

    bench = Bench(control, arguments.epochs, arguments.rates, arguments.seeds[0], say, chooses=False)
    return bench.results(arguments.controls)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    size = Size()
    parser.add_argument("--folder", type=Path, required=True, help="where the projects are made and results kept")
    parser.add_argument("--methods", nargs="*", default=["all"], help="names of experiments: in params.yaml, or all")
    parser.add_argument("--controls", nargs="*", default=["single_fop", "two_infonce"], help="with exchanged voices")
    parser.add_argument("--exchanges", type=int, default=6, help="of voices, for the controls")
    parser.add_argument("--epochs", type=int, default=10, help="of a run at most: the best on validation people counts")
    rates = [3.0e-4, 1.0e-3, 3.0e-3, 1.0e-2]
    parser.add_argument("--rates", type=float, nargs="+", default=rates, help="learning rates to choose from")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="networks of a run")
    parser.add_argument("--seed", type=int, default=1, help="of the world; the strengths were set on 1")
    for name, default in (("train", size.train), ("validation", size.validation), ("test", size.test)):
        parser.add_argument(f"--{name}", type=int, default=default, help="people")
    parser.add_argument("--pairs", type=int, default=size.pairs_a_person, help="training pairs a person")
    parser.add_argument("--trials", type=int, default=size.trials)
    return parser.parse_args()


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
