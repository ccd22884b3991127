"""From results to the store, and what an extractor must not give."""

import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import ExtractionError, MediaError
from pipeline.extraction import packing
from pipeline.extraction.decoding import WHOLE_UTTERANCE, Prepared
from pipeline.extraction.item_cache import Arrays, ItemCache
from pipeline.extraction.loop import extract
from pipeline.extraction.packing import Embed, embedding_result, pack
from pipeline.extraction.tasks import Task, Tasks
from pipeline.extraction.work import Work
from pipeline.store import INDEX, MATRIX, read_store, write_store
from tests.pipeline.extraction.executors.worker_tasks import number_in

PROVENANCE = {"extractor": "test", "dimension": 3, "weights": "none", "fingerprint": "f"}
MANIFEST = pd.DataFrame(
    {"item": ["a", "b", "c"], "identity": ["x", "x", "y"], "clip": ["a", "b", "c"], "digest": ["d1", "d2", "d3"]}
)


def test_sound_vectors_become_a_result() -> None:
    result = embedding_result(np.eye(3)[:2], 3, np.array([4, 9]))
    assert isinstance(result, dict)
    assert result["embeddings"].dtype == np.float32 and result["frame"].tolist() == [4, 9]


@pytest.mark.parametrize(("value", "word"), [(np.nan, "NaN"), (np.inf, "infinite"), (0.0, "norm 0"), (5.0, "norm")])
def test_unsound_vectors_are_the_items_fault(value: float, word: str) -> None:
    vectors = np.eye(3)
    vectors[1] = value
    result = embedding_result(vectors, 3, np.arange(3))
    assert isinstance(result, MediaError) and word in str(result)


@pytest.mark.parametrize("shape", [(1, 4), (2, 3), (3,)])
def test_wrong_shape_is_the_extractors_fault(shape: tuple[int, ...]) -> None:
    with pytest.raises(ExtractionError, match="promised"):
        embedding_result(np.ones(shape), 3, np.array([0]))


def test_one_vector_that_could_not_be_had_costs_its_item_alone() -> None:
    class Picky:
        dimension = 3

        def __call__(self, batch: Sequence[np.ndarray]) -> list[np.ndarray | MediaError]:
            return [np.eye(3)[0] if one[0] else MediaError("black") for one in batch]

    white, black = np.ones(2), np.zeros(2)
    items = [Prepared([white, black], np.array([0, 1])), Prepared([white], np.array([WHOLE_UTTERANCE]))]
    failed, sound = Embed(Picky())(items)
    assert isinstance(failed, MediaError) and str(failed) == "black"
    assert isinstance(sound, dict) and sound["frame"].tolist() == [WHOLE_UTTERANCE]


def test_model_that_loses_an_input_is_broken() -> None:
    class Lossy:
        dimension = 3

        def __call__(self, batch: Sequence[np.ndarray]) -> np.ndarray:
            return np.eye(3)[: len(batch) - 1]

    with pytest.raises(ExtractionError, match="1 vectors for 2 inputs"):
        Embed(Lossy())([Prepared([np.ones(2), np.ones(2)], np.array([0, 1]))])


@pytest.mark.parametrize("manifest", [MANIFEST, MANIFEST.iloc[::-1]], ids=["sorted", "shuffled"])
def test_rows_carry_what_the_manifest_says_of_their_item(tmp_path: Path, manifest: pd.DataFrame) -> None:
    results = [
        ("a", "ka", {"embeddings": np.eye(3, dtype=np.float32)[1:], "frame": np.array([0, 3], np.int32)}),
        ("c", "kc", {"embeddings": np.eye(3, dtype=np.float32)[:1], "frame": np.array([5], np.int32)}),
    ]
    pack(tmp_path, manifest, results, PROVENANCE)
    store = read_store(tmp_path)
    expected = [("a", 0, "x", "a", "d1", "ka"), ("a", 3, "x", "a", "d1", "ka"), ("c", 5, "y", "c", "d3", "kc")]
    assert list(store.index.itertuples(index=False, name=None)) == expected
    np.testing.assert_array_equal(store.matrix, np.eye(3)[[1, 2, 0]])


def test_corpus_without_this_modality_packs_an_empty_store(tmp_path: Path) -> None:
    pack(tmp_path, MANIFEST, [], PROVENANCE)
    assert read_store(tmp_path).matrix.shape == (0, 3)


def test_store_is_the_same_however_many_items_are_packed_at_a_time(tmp_path: Path, monkeypatch) -> None:
    """And the same, byte for byte, as one that is written from memory."""
    items = [f"{number:04}" for number in range(1000)]
    texts = {name: pd.Series(items, dtype="string") for name in ("item", "identity", "clip", "digest")}
    manifest = pd.DataFrame(texts)
    vectors = np.random.default_rng(0).standard_normal((2000, 3)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    frames = np.array([3, 7], np.int32)
    results = [
        (item, f"k{item}", {"embeddings": vectors[2 * at : 2 * at + 2], "frame": frames})
        for at, item in enumerate(items)
    ]
    for size in (7, 512, 5000):
        monkeypatch.setattr(packing, "_PART", size)
        pack(tmp_path / str(size), manifest, iter(results), PROVENANCE)
    index = manifest.loc[manifest.index.repeat(2)].reset_index(drop=True)
    index["key"] = [f"k{item}" for item in index["item"]]
    write_store(tmp_path / "whole", vectors, index.assign(frame=np.tile(frames, 1000)), PROVENANCE)
    for name in (MATRIX, INDEX):
        assert len({(tmp_path / folder / name).read_bytes() for folder in ("7", "512", "5000", "whole")}) == 1


def test_result_of_an_item_that_the_manifest_lacks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExtractionError, match="'stranger' is not in the manifest"):
        pack(tmp_path, MANIFEST, [("stranger", "k", {"embeddings": np.eye(3)[:1], "frame": np.zeros(1)})], PROVENANCE)
    assert not list(tmp_path.iterdir())


def test_memory_of_a_stage_does_not_grow_with_its_results(tmp_path: Path) -> None:
    """From tasks to the store: what grows is names and keys, some hundred bytes an item, not vectors of 8 kB."""
    (tmp_path / "medium").write_text("1")

    def peak(items: int) -> int:
        """Bytes at most, of Python and numpy."""
        folder, vector = tmp_path / str(items), np.eye(1, 2048, dtype=np.float32)
        names = [f"{number:06}" for number in range(items)]
        texts = {name: pd.Series(names, dtype="string") for name in ("item", "identity", "clip", "digest")}
        manifest = pd.DataFrame(texts)

        def infer(payloads: Sequence[np.ndarray]) -> list[Arrays | MediaError]:
            return [{"embeddings": vector.copy(), "frame": np.zeros(1, np.int32)} for _ in payloads]

        tasks = Tasks(lambda: (Task(name, tmp_path / "medium", f"key {name}", number_in) for name in names))
        tracemalloc.start()
        with ItemCache(folder / "items.sqlite") as cache:
            extraction = extract(Work("test", infer, 16), tasks, cache)
            pack(folder, manifest, extraction.results(cache), {**PROVENANCE, "dimension": 2048})
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(100)  # what is imported and cached once
    assert (peak(3000) - peak(1500)) / 1500 < 2000
    assert len(read_store(tmp_path / "3000").matrix) == 3000


@pytest.fixture(autouse=True)
def _decode_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SBNET_WORKERS", "0")
