"""Our epoch on the official feature files: `python -m tools.benchmarks.voxceleb_scale.our_epoch`.

The same network, loss, order, batch and optimiser as the official script, by recipe `official`; reading goes through
the stores that the stages write. Prints one JSON line of seconds.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from pipeline.config import load_params
from pipeline.protocol.sources.feature_files import pack_features
from pipeline.resolved import resolved
from pipeline.runtime.threads import one_thread
from pipeline.settings import RunSettings
from pipeline.store import Store, read_store
from pipeline.training.data import TrainingData
from pipeline.training.lists import TrainingLists
from pipeline.training.trainer import Trainer
from tools.benchmarks.voxceleb_scale.stage import ROOT


def main() -> None:
    """Read the features, train the epochs, print the seconds of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("features", type=Path, help="folder with face/ and voice/ of the official file names")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=1, help="networks, one after another")
    arguments = parser.parse_args()
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        stores = [Path(folder) / modality for modality in ("face", "voice")]
        pack_features(arguments.features, "face", stores[0])
        pack_features(arguments.features, "voice", stores[1])
        faces, voices = (read_store(store) for store in stores)
    read = time.perf_counter() - begin
    params = load_params(ROOT / "params.yaml")
    fop = params.model_copy(update={"experiments": {"fop": {"recipe": "official", "loss": "fop", "order": "vfvf"}}})
    settings = resolved(fop, "fop").model_copy(update={"seeds": list(range(arguments.seeds))})
    sys.stdout.write(json.dumps({"read": read, "epochs": _epochs(settings, faces, voices, arguments.epochs)}) + "\n")


def _epochs(settings: RunSettings, faces: Store, voices: Store, epochs: int) -> list[float]:
    names = faces.index["identity"].to_numpy(dtype=object)
    trained = np.array([name.startswith("label ") for name in names])
    rows = np.flatnonzero(trained)  # of both stores: row i of the one file belongs to row i of the other
    classes = np.unique(names[rows], return_inverse=True)[1].astype(np.int64)
    lists = TrainingLists(rows, rows, classes, None, None)
    seconds = []
    with one_thread():
        data = TrainingData(settings, lists, faces.matrix, voices.matrix, torch.device("cpu"))
        trainers = [Trainer(settings, data, seed) for seed in settings.seeds]
        for epoch in range(epochs):
            begin = time.perf_counter()
            for trainer in trainers:
                trainer.epoch(epoch, settings.learning_rate)
            seconds.append(time.perf_counter() - begin)
    return seconds


if __name__ == "__main__":
    main()
