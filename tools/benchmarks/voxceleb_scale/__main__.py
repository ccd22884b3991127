"""Train and evaluate at VoxCeleb1's size on planted embeddings: `python -m tools.benchmarks.voxceleb_scale`.

Prints a line a run (AUC and EER on unseen people with the interval, time, memory), then the control, whose interval
must hold 50. With `--official CHECKOUT` (a clone of github.com/msaadsaeed/SBNet) it also times that code's epoch beside
ours, in turn, on the same feature files; that needs 3 GB of disk and 6 GB of memory.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import yaml

from tools.benchmarks.voxceleb_scale.beside import compare
from tools.benchmarks.voxceleb_scale.control import write_control
from tools.benchmarks.voxceleb_scale.stage import Cost, run
from tools.benchmarks.voxceleb_scale.world import Size, write_world


def main() -> int:
    """Run everything; the exit status is 1 if a loss is at chance or the control is not."""
    arguments = _arguments()
    size = Size(arguments.train, arguments.validation, arguments.test, arguments.pairs, arguments.trials)
    folder: Path = arguments.folder
    if arguments.official:
        compare(folder / "official", arguments.official, size, arguments.seed, arguments.official_threads, _say)
    if arguments.official_only:
        return 0
    project, control = folder / "planted", folder / "control"
    project.mkdir(parents=True, exist_ok=True)
    write_world(project, size, arguments.epochs, range(arguments.seeds), arguments.seed)
    _say(f"{'protocol':28s} {run(project, '-m', 'stages.protocol')}")
    run(project, "-m", "stages.settings")
    known = yaml.safe_load((project / "params.yaml").read_text(encoding="utf-8"))["experiments"]
    failures = [name for name in arguments.runs or known if not _above_chance(project, name)]
    write_control(project, control, arguments.seed)
    run(control, "-m", "stages.settings")
    failures += [f"control {name}" for name in arguments.controls if not _at_chance(control, name)]
    _say(f"failed: {', '.join(failures)}" if failures else "every run beats chance, every control does not")
    return 1 if failures else 0


def _above_chance(project: Path, name: str) -> bool:
    return float(_measure(project, name, name)["auc_low"]) > 50.0


def _at_chance(project: Path, name: str) -> bool:
    rates = _measure(project, name, f"control {name}")
    return float(rates["auc_low"]) <= 50.0 <= float(rates["auc_high"])


def _measure(project: Path, name: str, title: str) -> dict[str, Any]:
    trained, evaluated = run(project, "-m", "stages.train", name), run(project, "-m", "stages.evaluate", name)
    metrics = json.loads((project / "artifacts" / "runs" / name / "metrics.json").read_text(encoding="utf-8"))
    by_task = metrics["verification"]
    task = next(task for task in _tasks(name) if task in by_task)
    rates: dict[str, Any] = by_task[task]["random"]
    _say(f"{title:28s} {_rates(rates)}  train {_short(trained)}  evaluate {_short(evaluated)}")
    return rates


def _tasks(name: str) -> tuple[str, ...]:
    """The trials that a run is about, by its name in params.yaml: a run of one modality is tried on that."""
    return tuple(task for task in ("face", "voice") if name.startswith(f"{task}_only")) or ("cross_modal",)


def _rates(rates: dict[str, Any]) -> str:
    return f"AUC {rates['auc']:5.2f} [{rates['auc_low']:5.2f}, {rates['auc_high']:5.2f}]  EER {rates['eer']:5.2f}"


def _short(cost: Cost) -> str:
    return f"{cost.wall:6.1f} s {cost.memory:5.0f} MB"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    size = Size()
    parser.add_argument("--folder", type=Path, required=True, help="where the project is made")
    parser.add_argument("--runs", nargs="*", help="names of experiments: in params.yaml; all of them by default")
    parser.add_argument(
        "--controls", nargs="*", default=["single_fop", "two_fop"], help="runs to do with exchanged voices"
    )
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=1, help="networks a run")
    parser.add_argument("--seed", type=int, default=0, help="of the world")
    for name, default in (("train", size.train), ("validation", size.validation), ("test", size.test)):
        parser.add_argument(f"--{name}", type=int, default=default, help="people")
    parser.add_argument("--pairs", type=int, default=size.pairs_a_person, help="training pairs a person")
    parser.add_argument("--trials", type=int, default=size.trials)
    parser.add_argument("--official", type=Path, help="checkout of the official repository, to time its epoch as well")
    # On a busy machine two threads wait for each other in a spin, and a step takes a hundred times as long.
    parser.add_argument("--official-threads", type=int, nargs="+", default=[1], help="CPU threads of the official code")
    parser.add_argument("--official-only", action="store_true", help="time the epochs and do nothing else")
    return parser.parse_args()


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
