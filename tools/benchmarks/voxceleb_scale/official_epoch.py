"""The official training script's own epoch: `python -m tools.benchmarks.voxceleb_scale.official_epoch`.

Runs ssnet_fop/main.py of a checkout of github.com/msaadsaeed/SBNet as it stands: its reading, its batches, its network,
its loss and its step. Only what ties it to 2020 and to a GPU is supplied from outside: scipy.random, np.float, and
`.cuda()`, which returns its object. Its test after each epoch is left out. Prints one JSON line of seconds.
"""

import argparse
import importlib.util
import json
import os
import random
import sys
import tempfile
import time
import types
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import scipy
import torch


def main() -> None:
    """Read the features, train the epochs, print the seconds of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkout", type=Path, help="folder of the official repository")
    parser.add_argument("features", type=Path, help="folder with face/ and voice/ of the official file names")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    features = arguments.features.resolve()
    code = (arguments.checkout / "ssnet_fop").resolve()
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as folder:
        workplace = Path(folder) / "ssnet_fop"  # the script looks for ../data and writes its models where it stands
        workplace.mkdir()
        (Path(folder) / "data").symlink_to(features)
        os.chdir(workplace)
        sys.stdout, words = sys.stderr, sys.stdout
        with (
            mock.patch.object(scipy, "random", types.SimpleNamespace(shuffle=random.shuffle), create=True),
            mock.patch.object(np, "float", float, create=True),
            mock.patch.object(torch.nn.Module, "cuda", lambda self: self),
        ):
            seconds = _seconds(_official(code), arguments.epochs)
        sys.stdout = words
    sys.stdout.write(json.dumps(seconds) + "\n")


def _official(code: Path) -> Any:
    sys.path.insert(0, str(code))
    spec = importlib.util.spec_from_file_location("official_main", code / "main.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _seconds(official: Any, epochs: int) -> dict[str, Any]:
    official.FLAGS = types.SimpleNamespace(
        cuda=False,
        lr=1e-2,
        batch_size=128,
        max_num_epoch=epochs + 1,  # its loop runs one fewer
        alpha_list=[1],
        dim_embed=128,
        split_type="vfvf",
        save_dir="model",
    )
    ends: list[float] = []
    chance = (0.5, 50.0)

    def test(*_: object) -> tuple[float, float]:
        ends.append(time.perf_counter())
        return chance

    official.online_evaluation = types.SimpleNamespace(test=test)
    official.test_feat = None
    random.seed(1)
    torch.manual_seed(1)
    begin = time.perf_counter()
    data, labels = official.read_data(official.FLAGS)
    begin_training = time.perf_counter()
    official.main(data, labels)
    return {"read": begin_training - begin, "epochs": list(np.diff([begin_training, *ends]))}


if __name__ == "__main__":
    main()
