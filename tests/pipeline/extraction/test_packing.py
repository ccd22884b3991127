"""From results to the store, and what an extractor must not give."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import ExtractionError, MediaError
from pipeline.extraction.decoding import WHOLE_UTTERANCE, Prepared
from pipeline.extraction.packing import Embed, embedding_result, pack
from pipeline.store import read_store

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


def test_rows_carry_what_the_manifest_says_of_their_item(tmp_path: Path) -> None:
    results = {
        "c": {"embeddings": np.eye(3, dtype=np.float32)[:1], "frame": np.array([5], np.int32)},
        "a": {"embeddings": np.eye(3, dtype=np.float32)[1:], "frame": np.array([0, 3], np.int32)},
    }
    pack(tmp_path, MANIFEST, results, {"a": "ka", "c": "kc"}, PROVENANCE)
    store = read_store(tmp_path)
    expected = [("a", 0, "x", "a", "d1", "ka"), ("a", 3, "x", "a", "d1", "ka"), ("c", 5, "y", "c", "d3", "kc")]
    assert list(store.index.itertuples(index=False, name=None)) == expected
    np.testing.assert_array_equal(store.matrix, np.eye(3)[[1, 2, 0]])


def test_corpus_without_this_modality_packs_an_empty_store(tmp_path: Path) -> None:
    pack(tmp_path, MANIFEST, {}, {}, PROVENANCE)
    assert read_store(tmp_path).matrix.shape == (0, 3)
