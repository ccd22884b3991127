"""The official epoch beside ours: the same files, the same machine, in turn."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from tools.benchmarks.voxceleb_scale.feature_files import write_feature_files
from tools.benchmarks.voxceleb_scale.world import ROOT, Size

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
            found.append(_run("official_epoch", str(checkout), str(folder), "--threads", str(count)))
        for seeds, found in ours.items():
            found.append(_run("our_epoch", str(folder), "--seeds", str(seeds)))
    best = min(_epoch(found) for found in theirs.values())
    for count, found in theirs.items():
        say(f"official epoch, {count} thread(s)    {_epoch(found):7.1f} s   reading {_read(found):6.1f} s")
    for seeds, found in ours.items():
        ratio = best / _epoch(found)
        say(
            f"our epoch, {seeds} network(s)        {_epoch(found):7.1f} s   reading {_read(found):6.1f} s   "
            f"{ratio:.2f} of ours in the official one, {ratio * seeds:.2f} counted by network"
        )


def _run(module: str, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", f"tools.benchmarks.voxceleb_scale.{module}", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def _epoch(found: list[dict[str, Any]]) -> float:
    return float(median(seconds for one in found for seconds in one["epochs"]))


def _read(found: list[dict[str, Any]]) -> float:
    return float(median(one["read"] for one in found))
