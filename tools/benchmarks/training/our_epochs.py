"""Our epochs at VoxCeleb1's size, in a process of their own: `python -m tools.benchmarks.training.our_epochs RUN`.

RUN is an entry of `experiments:` in params.yaml. One thread, as in every training. Prints one JSON line: seconds of
each epoch and of each validation, of the wall clock and of the processor, and the most memory that was resident.
"""

import argparse
import dataclasses
import json
import resource
import sys
import time
from pathlib import Path

import torch

from pipeline.config import load_params
from pipeline.resolved import resolved
from pipeline.runtime.threads import one_thread
from pipeline.settings import RunSettings
from pipeline.training.data import TrainingData
from pipeline.training.trainer import Trainer
from pipeline.training.validation import Validator
from tools.benchmarks.training.features import Size, random_lists
from tools.benchmarks.voxceleb_scale.stage import ROOT


def main() -> None:
    """Train the epochs and print what they took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", help="of experiments: in params.yaml")
    parser.add_argument("--recipe", default="official", help="that the run is resolved with")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="networks, one after another")
    size = Size()
    for name, default in dataclasses.asdict(size).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=default)
    arguments = parser.parse_args()
    size = Size(arguments.people, arguments.pairs_a_person, arguments.trials)
    settings = _settings(arguments.run, arguments.recipe, arguments.seeds)
    found = measure(settings, size, arguments.epochs)
    # Linux counts ru_maxrss in KiB.
    found["memory"] = [resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]
    sys.stdout.write(json.dumps(found) + "\n")


def _settings(run: str, recipe: str, seeds: list[int]) -> RunSettings:
    params = load_params(Path(ROOT / "params.yaml"))
    entry = params.experiments[run] | {"recipe": recipe}
    params = params.model_copy(update={"experiments": {run: entry}})
    return resolved(params, run).model_copy(update={"seeds": seeds})


def measure(settings: RunSettings, size: Size, epochs: int) -> dict[str, list[float]]:
    """Seconds of each epoch of each seed: wall, processor; and of the validation behind it."""
    lists, faces, voices = random_lists(size)
    found: dict[str, list[float]] = {"wall": [], "processor": [], "validation": []}
    with one_thread():
        data = TrainingData(settings, lists, faces, voices, torch.device("cpu"))
        assert lists.validation is not None
        trials = dataclasses.replace(lists.validation, sides=_sides(settings))
        validator = Validator(trials, data.faces, data.voices)
        trainers = [Trainer(settings, data, seed) for seed in settings.seeds]
        for epoch in range(epochs):
            for trainer in trainers:
                wall, processor = time.perf_counter(), time.process_time()
                trainer.epoch(epoch, settings.learning_rate)
                found["wall"].append(time.perf_counter() - wall)
                found["processor"].append(time.process_time() - processor)
                processor = time.process_time()
                scores = validator.scores(trainer.method)
                assert scores is not None
                validator.rates(scores)
                found["validation"].append(time.process_time() - processor)
    return found


def _sides(settings: RunSettings) -> tuple[str, str]:
    return ("voice", "face") if settings.modality == "both" else (settings.modality, settings.modality)


if __name__ == "__main__":
    main()
