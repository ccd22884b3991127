"""A clone of the project with caches of its own, clips that come and go in it, and a place for one clip alone."""

import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.faults.repository import share_weights
from tests.stages.project import ROOT

FEW = 64  # people; with fewer, the shipped protocol finds too few trials
_OF_FEW: dict[str, dict[str, object]] = {
    "protocol": {
        "validation_ratio": 0.25,
        "test_ratio": 0.25,
        "criteria": ["random"],
        "trials": 200,
        "galleries": 50,
        "gallery_size": 2,
    },
    "evaluate": {"matching_sizes": [2]},
}


def clone_project(folder: Path, people: int, all_runs: bool) -> Path:
    """The working tree's last commit with its first `people` people (0: all) and its first run, or all of them."""
    git = ["git", "-c", "safe.directory=*", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(folder)]
    subprocess.run(git, check=True)
    share_weights(folder)
    everybody = sorted(path for path in (folder / "data" / "demo").glob("id*") if path.is_dir())
    for path in everybody[people or len(everybody) :]:
        shutil.rmtree(path)
    params = read_params(folder)
    if not all_runs:
        name, run = next(iter(params["experiments"].items()))
        params["experiments"] = {name: run}
    write_params(folder, params, _OF_FEW if 0 < people < FEW else {})
    return folder


def alone_with(clip: Path, clone: Path, folder: Path) -> Path:
    """A folder beside the clone, with its params.yaml and converted networks, that clip alone and no item cached."""
    target = folder / "media" / clip.parent.name / clip.name
    target.parent.mkdir(parents=True)
    shutil.copy(clip, target)
    media = {"media": "media", "table": str(clone / "data/no_items.csv"), "columns": {}}
    media["identities"] = str(clone / "data/no_identities.csv")
    write_params(folder, read_params(clone), {"manifest": media})
    share_weights(folder)
    (folder / ".sbnet" / "networks").symlink_to(clone / ".sbnet" / "networks")
    return folder


def add_clip(clone: Path, number: int) -> Path:
    """Give the first person one clip more: their first one with other bytes, which decode to the same."""
    person = min(path for path in (clone / "data" / "demo").glob("id*") if path.is_dir())
    target = person / f"more{number}.mp4"
    target.write_bytes(with_other_bytes((person / "0.mp4").read_bytes(), number))
    return target


def with_other_bytes(film: bytes, number: int) -> bytes:
    """An mp4 with a box at its end that readers pass over (ISO 14496-12, 8.1.2: `free`)."""
    return film + struct.pack(">I4sQ", 16, b"free", number)


def environment() -> dict[str, str]:
    """The surroundings of every timed command: none of the caller's settings but the workers and the device."""
    kept = ("SBNET_WORKERS", "SBNET_DEVICE")
    mine = {
        name: value for name, value in os.environ.items() if name in kept or not name.startswith(("SBNET_", "DVC_"))
    }
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**mine, "PATH": path, "DVC_NO_ANALYTICS": "1", "PYTHONUNBUFFERED": "1"}


def read_params(folder: Path) -> dict[str, Any]:
    """params.yaml as it stands there."""
    found: dict[str, Any] = yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))
    return found


def write_params(folder: Path, params: dict[str, Any], changes: Mapping[str, Mapping[str, object]]) -> None:
    """params.yaml with keys of some sections changed."""
    changed = {name: {**section, **changes[name]} if name in changes else section for name, section in params.items()}
    (folder / "params.yaml").write_text(yaml.safe_dump(changed, sort_keys=False), encoding="utf-8")
