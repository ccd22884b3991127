"""A real disk that is full: the writer says so, and what was there before is still there and sound."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from pipeline.errors import StoreError
from pipeline.extraction.item_cache import ItemCache
from pipeline.scoring import load_model, save_model
from pipeline.store import INDEX_COLUMNS, read_store, write_store
from pipeline.training import StateFile
from pipeline.training.state import State
from tests.pipeline.settings_for_training import train_settings
from tests.pipeline.training.world import make_world
from tests.stages.project import Project, make_project
from tests.stages.test_extraction_stages import demo_clips

pytestmark = [pytest.mark.faults, pytest.mark.stage]

SIZE = 2 << 20  # bytes of the small disk
PROVENANCE = {"extractor": "test", "dimension": 512, "weights": "none", "fingerprint": "f"}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of SIZE bytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small tmpfs can be mounted by root only, and not in every container")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(disk: Path, leave: int) -> None:
    """Leave so many bytes free."""
    free = os.statvfs(disk)
    ballast = np.zeros(free.f_bavail * free.f_frsize - leave, np.uint8)
    (disk / "ballast").write_bytes(ballast.tobytes())


def store_of(rows: int) -> tuple[np.ndarray, pd.DataFrame]:
    """Unit vectors (rows, 512) and their index."""
    matrix = np.random.default_rng(rows).normal(size=(rows, 512)).astype(np.float32)
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    items = [f"id/{i:03}.wav" for i in range(rows)]
    return matrix, pd.DataFrame(dict.fromkeys(INDEX_COLUMNS, items) | {"frame": [0] * rows})


def test_store_that_does_not_fit_leaves_the_old_one(disk: Path) -> None:
    write_store(disk, *store_of(50), PROVENANCE)
    fill(disk, leave=50_000)
    with pytest.raises(StoreError, match=r"No space left.*free some disk space; what it held before is intact"):
        write_store(disk, *store_of(100), PROVENANCE)
    np.testing.assert_array_equal(read_store(disk).matrix, store_of(50)[0])
    assert not list(disk.glob(".*.partial*")), "the disk is not kept full by rubbish"


def test_item_cache_that_does_not_fit_keeps_what_it_has(disk: Path) -> None:
    matrix, _ = store_of(400)
    with ItemCache(disk / "items.sqlite") as cache:
        cache.put({"old": {"x": matrix[:5]}})
        fill(disk, leave=100_000)
        with pytest.raises(StoreError, match="free some disk space"):
            for number in range(400):
                cache.put({str(number): {"x": matrix[number : number + 1]}})
        np.testing.assert_array_equal(cache.get(["old"])["old"]["x"], matrix[:5])
    (disk / "ballast").unlink()
    with ItemCache(disk / "items.sqlite") as cache:
        for key, entry in cache.get(str(number) for number in range(400)).items():
            np.testing.assert_array_equal(entry["x"][0], matrix[int(key)])
        cache.put({"new": {"x": matrix}})
        assert set(cache.get(["old", "new"])) == {"old", "new"}


def half_old(disk: Path) -> Path:
    """An item cache that takes more than half of the disk."""
    path = disk / "items.sqlite"
    for start in range(0, 100, 20):  # one by one: the log of a transaction takes as much room again
        with ItemCache(path) as cache:
            cache.put({str(number): {"x": store_of(1)[0].repeat(5, axis=0)} for number in range(start, start + 20)})
    assert path.stat().st_size > SIZE // 2
    return path


def test_item_cache_is_pruned_with_little_room_left(disk: Path) -> None:
    path = half_old(disk)
    fill(disk, leave=500_000)  # forty of the hundred entries
    with ItemCache(path) as cache:
        assert cache.prune(older_than=0) == 100
    assert path.stat().st_size < 100_000


def test_item_cache_that_cannot_even_be_pruned_keeps_what_it_has(disk: Path) -> None:
    path = half_old(disk)
    with ItemCache(path) as cache:
        cache.usage()  # the log's index is made when the file is first read
        fill(disk, leave=0)
        with pytest.raises(StoreError, match="free some disk space"):
            cache.prune(older_than=0)
        assert len(cache.get(str(number) for number in range(100))) == 100


def test_model_that_does_not_fit_leaves_the_old_one(disk: Path) -> None:
    model = make_world().train(train_settings(epochs=1)).model
    save_model(disk / "model.safetensors", model)
    before = (disk / "model.safetensors").read_bytes()
    fill(disk, leave=len(before) // 2)
    with pytest.raises(StoreError, match="No space left"):
        save_model(disk / "model.safetensors", model)
    assert (disk / "model.safetensors").read_bytes() == before
    load_model(disk / "model.safetensors")


def test_training_state_that_does_not_fit_leaves_the_old_one(disk: Path) -> None:
    state_file = StateFile(disk, "run")
    state_file.open("key")
    state_file.save(0, State(1, {"w": torch.ones(1000)}, None, [], 0.0))
    fill(disk, leave=100_000)
    with pytest.raises(StoreError, match="No space left"):
        state_file.save(0, State(2, {"w": torch.ones(100_000)}, None, [], 0.0))
    kept = state_file.load(0)
    assert kept is not None and kept.epochs_done == 1


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Two clips with a manifest."""
    project = make_project(tmp_path_factory.mktemp("heard"), demo_clips(2, 1))
    project.run("manifest")
    return project


@pytest.mark.parametrize("full", ["cache", "artifacts"])
def test_stage_on_a_full_disk_says_so_and_goes_on_once_there_is_space(heard: Project, disk: Path, full: str) -> None:
    home, voices = heard.home, heard.folder / "artifacts" / "voices"
    if full == "cache":
        home = disk
        (disk / "weights").symlink_to(heard.home / "weights")
    else:
        shutil.rmtree(voices, ignore_errors=True)
        voices.symlink_to(disk)
    fill(disk, leave=0)
    stopped = heard.run("embed_voices", fails=True, SBNET_HOME=str(home))
    assert re.search(r"StoreError: .*(No space left|disk is full|disk I/O error)", stopped), stopped
    assert not (voices / "embeddings.safetensors").exists()
    (disk / "ballast").unlink()
    again = heard.run("embed_voices", SBNET_HOME=str(home))
    assert ("2 extracted, 0 cached" if full == "cache" else "0 extracted, 2 cached") in again
