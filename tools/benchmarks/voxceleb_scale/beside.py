"""The official epoch beside ours: the same files, the same machine, in turn."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from tools.benchmarks.fidelity.scripts import Training, run_official
from tools.benchmarks.voxceleb_scale.feature_files import write_feature_files
from tools.benchmarks.voxceleb_scale.stage import ROOT
from tools.benchmarks.voxceleb_scale.world import Size

_EPOCHS = 3  # of a round; the first, in which torch still imports parts of itself, is not counted
_ROUNDS = 2  # each side this often, in turn, so that a busy minute does not fall on one side alone


def compare(
    folder: Path, checkout: Path, size: Size, seed: int, threads: Sequence[int], say: Callable[[str], None]
) -> None:
    """Time both on one set of feature files and say the medians, and how often ours fits into the official epoch.

    The official code runs with each number of `threads`, ours with its one.
    """
    write_feature_files(folder, size, seed)
    ours: dict[int, list[dict[str, Any]]] = {1: [], 3: []}
    theirs: dict[int, list[dict[str, Any]]] = {count: [] for count in threads}
    for _ in range(_ROUNDS):
        for count, found in theirs.items():
            found.append(_official(checkout, folder, count))
        for seeds, found in ours.items():
            found.append(_ours(folder, seeds))
    best = min(_epoch(found) for found in theirs.values())
    for count, found in theirs.items():
        say(f"official epoch, {count} thread(s)    {_epoch(found):7.1f} s   reading {_read(found):6.1f} s")
    for seeds, found in ours.items():
        ratio = best / _epoch(found)
        say(
            f"our epoch, {seeds} network(s)        {_epoch(found):7.1f} s   reading {_read(found):6.1f} s   "
            f"{ratio:.2f} of ours in the official one, {ratio * seeds:.2f} counted by network"
        )


def _official(checkout: Path, features: Path, threads: int) -> dict[str, Any]:
    """Its test after each epoch is left out."""
    training = Training("sbnet", "fop", "vfvf")
    epochs = run_official(checkout, features, training, seed=1, epochs=_EPOCHS, threads=threads, test=False)
    return {"read": epochs[0].read, "epochs": [epoch.trained for epoch in epochs]}


def _ours(features: Path, seeds: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "tools.benchmarks.voxceleb_scale.our_epoch", str(features)]
    command += ["--seeds", str(seeds), "--epochs", str(_EPOCHS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def _epoch(found: list[dict[str, Any]]) -> float:
    return float(median(seconds for one in found for seconds in one["epochs"][1:]))


def _read(found: list[dict[str, Any]]) -> float:
    return float(median(one["read"] for one in found))
