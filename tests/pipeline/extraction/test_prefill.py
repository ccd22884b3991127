"""A colleague with the stores of the last commit but no item cache extracts only what is new."""

import logging
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import RunError
from pipeline.extraction.face_table import detection_result, write_detections
from pipeline.extraction.item_cache import ItemCache
from pipeline.extraction.packing import pack
from pipeline.extraction.prefill import prefill_detections, prefill_embeddings

VOICES, DETECTIONS = Path("artifacts/voices"), Path("artifacts/faces/detections.parquet")
MANIFEST = pd.DataFrame({"item": ["a", "b"], "identity": ["x", "y"], "clip": ["a", "b"], "digest": ["1", "2"]})


class Frame:
    """A sampled frame."""

    frame, time = 7, 0.5


class Face:
    """A face on it."""

    box, probability, landmarks = np.arange(4.0), 0.98, np.ones((5, 2))


def dvc(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "dvc", "--quiet", *arguments], check=True)


@pytest.fixture(scope="module")
def vectors() -> dict[str, np.ndarray]:
    """Embeddings of two items."""
    return {"a": np.eye(3, dtype=np.float32)[:1], "b": np.eye(3, dtype=np.float32)[1:]}


@pytest.fixture(scope="module")
def committed(vectors: dict[str, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DVC project after a run: stores committed, then removed as DVC removes them before a stage runs again."""
    folder = tmp_path_factory.mktemp("committed")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("DVC_ROOT", raising=False)
        patch.setenv("DVC_SITE_CACHE_DIR", str(folder / "site"))
        results = [
            (item, f"key {item}", {"embeddings": v, "frame": np.arange(len(v), dtype=np.int32)})
            for item, v in vectors.items()
        ]
        pack(VOICES, MANIFEST, results, {"extractor": "t", "dimension": 3})
        found = detection_result([Frame(), Frame()], [Face(), None])  # type: ignore[list-item]
        write_detections(DETECTIONS, [("a", "key d", found)], {})
        outs = [str(VOICES / "embeddings.safetensors"), str(VOICES / "index.parquet"), str(DETECTIONS)]
        dvc("init", "--no-scm")
        dvc("stage", "add", "-n", "embed", *(part for out in outs for part in ("-o", out)), "true")
        dvc("commit", "--force")
        for out in outs:
            Path(out).unlink()
    return folder


@pytest.fixture
def published(
    committed: Path, vectors: dict[str, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, np.ndarray]:
    """The embeddings that were committed; the test works in a copy of that project."""
    shutil.copytree(committed, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    return vectors


def cached(tmp_path: Path, keys: list[str]) -> dict[str, dict[str, np.ndarray]]:
    with ItemCache(tmp_path / "fresh" / "items.sqlite") as cache:
        prefill_embeddings(cache, keys, VOICES)
        return cache.get(keys)


def test_empty_cache_is_filled_with_what_the_last_store_holds(tmp_path, published) -> None:
    found = cached(tmp_path, ["key a", "key b", "key of a new item"])
    assert set(found) == {"key a", "key b"}
    for name in "ab":
        np.testing.assert_array_equal(found[f"key {name}"]["embeddings"], published[name])
        assert found[f"key {name}"]["frame"].tolist() == list(range(len(published[name])))


def test_keys_of_another_extractor_take_nothing(tmp_path, published) -> None:
    assert cached(tmp_path, ["key of other weights"]) == {}


def test_detections_come_back_as_they_were_found(tmp_path, published) -> None:
    with ItemCache(tmp_path / "items.sqlite") as cache:
        prefill_detections(cache, ["key d"], DETECTIONS)
        found = cache.get(["key d"])["key d"]
    expected = detection_result([Frame(), Frame()], [Face(), None])  # type: ignore[list-item]
    assert set(found) == set(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)
        assert found[name].dtype == array.dtype, name


def test_damaged_object_in_the_dvc_cache_is_not_taken(tmp_path, published, caplog) -> None:
    for path in (tmp_path / ".dvc/cache/files/md5").rglob("*"):
        if path.is_file():
            path.chmod(0o644)
            path.write_bytes(path.read_bytes()[:-1] + b"!")
    with caplog.at_level(logging.WARNING):
        assert cached(tmp_path, ["key a"]) == {}
    assert "other bytes than dvc.lock names" in caplog.text


def test_sound_object_of_the_configured_cache_replaces_a_damaged_one_of_the_project(tmp_path, published) -> None:
    dvc("cache", "dir", "--local", str(tmp_path / "elsewhere"))
    shutil.copytree(tmp_path / ".dvc" / "cache", tmp_path / "elsewhere")
    for path in (tmp_path / ".dvc/cache/files/md5").rglob("*"):
        if path.is_file():
            path.chmod(0o644)
            path.write_bytes(b"cut short")
    assert set(cached(tmp_path, ["key a", "key b"])) == {"key a", "key b"}


def test_two_items_of_the_same_bytes_give_one_result(tmp_path, published) -> None:
    vectors = np.eye(3, dtype=np.float32)[:2]
    results = [(item, "same", {"embeddings": vectors, "frame": np.arange(2, dtype=np.int32)}) for item in "ab"]
    pack(VOICES, MANIFEST, results, {"extractor": "t", "dimension": 3})
    DETECTIONS.touch()
    dvc("commit", "--force")
    for out in (VOICES / "embeddings.safetensors", VOICES / "index.parquet", DETECTIONS):
        out.unlink()
    found = cached(tmp_path, ["same"])["same"]
    np.testing.assert_array_equal(found["embeddings"], vectors)
    assert found["frame"].tolist() == [0, 1]


def test_project_that_never_ran_has_nothing_to_give(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert cached(tmp_path, ["key a"]) == {}


def test_cache_elsewhere_is_found_through_dvcs_settings(tmp_path, published) -> None:
    dvc("cache", "dir", "--local", str(tmp_path / "elsewhere"))
    (tmp_path / ".dvc" / "cache").rename(tmp_path / "elsewhere")
    assert set(cached(tmp_path, ["key a", "key b"])) == {"key a", "key b"}


def test_dvc_is_not_imported_where_its_cache_is_in_the_project(tmp_path, published, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "dvc.repo", None)
    assert set(cached(tmp_path, ["key a", "key b"])) == {"key a", "key b"}


def test_lock_file_in_which_two_branches_met_is_refused_by_name(tmp_path, published) -> None:
    lock = Path("dvc.lock")
    lock.write_text(f"<<<<<<< ours\n{lock.read_text()}=======\n>>>>>>> theirs\n")
    with pytest.raises(RunError, match=r"dvc\.lock is not valid YAML.*merge"):
        cached(tmp_path, ["key a"])
