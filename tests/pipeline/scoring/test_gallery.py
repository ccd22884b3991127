"""The gallery: searched as exactly as a full sort, bounded in memory while it is written, damage noticed."""

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from pipeline.errors import ScoreError, StoreError
from pipeline.scoring import gallery as module
from pipeline.scoring.gallery import Gallery, read_gallery, write_gallery
from pipeline.scoring.similarity import similarity

MODEL = {"run": "mine", "model": "a" * 64, "modality": "face"}


def unit_vectors(rows: int, width: int, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((rows, width)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def written(store: Path, vectors: np.ndarray, parts: int = 3) -> Gallery:
    with write_gallery(store / "faces", MODEL) as gallery:
        for part in np.array_split(np.arange(len(vectors)), parts):
            if len(part):
                names = [f"{row}.jpg" for row in part]
                gallery.add(names, [f"digest {row}" for row in part], [1] * len(part), vectors[part])
    return read_gallery(store, "face")


def full_sort(vectors: np.ndarray, query: np.ndarray, top: int) -> np.ndarray:
    """Rows by falling similarity, each computed by itself; of equal ones the first."""
    scores = [float(similarity(row, query)) for row in vectors]
    return np.array(sorted(range(len(vectors)), key=lambda row: (-scores[row], row))[:top])


@pytest.mark.parametrize("top", [1, 7, 300, 1000])
@pytest.mark.parametrize("block", [1, 16, 97, 300, 65536])
def test_search_is_a_full_sort_whatever_the_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int, top: int
) -> None:
    monkeypatch.setattr(module, "_BLOCK", block)
    vectors = unit_vectors(300, 16)
    gallery = written(tmp_path, vectors)
    for query in unit_vectors(5, 16, seed=1):
        rows, scores = gallery.search(query, top)
        assert rows.tolist() == full_sort(vectors, query, top).tolist()
        assert scores.tolist() == [float(similarity(vectors[row], query)) for row in rows]


def test_vectors_of_any_length_are_compared_by_their_distance(tmp_path: Path) -> None:
    vectors = unit_vectors(200, 8) * np.random.default_rng(2).uniform(0.01, 30.0, (200, 1)).astype(np.float32)
    query = unit_vectors(1, 8, seed=3)[0]
    rows, _ = written(tmp_path, vectors).search(query, 200)
    assert rows.tolist() == full_sort(vectors, query, 200).tolist()


@pytest.mark.parametrize("block", [8, 64])
def test_ties_go_to_the_row_that_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(module, "_BLOCK", block)
    vectors = np.tile(unit_vectors(4, 12), (40, 1))  # each vector forty times
    gallery = written(tmp_path, vectors)
    rows, scores = gallery.search(vectors[2], 45)
    assert rows[:40].tolist() == list(range(2, 160, 4)) and len(set(scores[:40].tolist())) == 1
    assert rows.tolist() == full_sort(vectors, vectors[2], 45).tolist()


def test_neighbours_that_differ_in_the_last_bit_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the product's rounding alone would decide who is among the first."""
    monkeypatch.setattr(module, "_BLOCK", 32)
    rng = np.random.default_rng(5)
    query = unit_vectors(1, 128, seed=4)[0]
    vectors = (query + 1e-4 * rng.standard_normal((500, 128))).astype(np.float32)
    rows, _ = written(tmp_path, vectors).search(query, 10)
    assert rows.tolist() == full_sort(vectors, query, 10).tolist()


def test_same_rows_give_the_same_bytes_however_they_came(tmp_path: Path) -> None:
    vectors = unit_vectors(50, 8)
    for name, parts in (("once", 1), ("again", 1), ("in parts", 7)):
        written(tmp_path / name, vectors, parts)
    names = [path.name for path in sorted((tmp_path / "once" / "faces").iterdir())]
    assert names == ["index.parquet", "vectors.safetensors"]
    files = [[(tmp_path / store / "faces" / name).read_bytes() for name in names] for store in ("once", "again")]
    assert files[0] == files[1]
    assert (tmp_path / "in parts" / "faces" / names[1]).read_bytes() == files[0][1]


def test_file_is_one_that_safetensors_reads(tmp_path: Path) -> None:
    vectors = unit_vectors(20, 8)
    gallery = written(tmp_path, vectors)
    tensors = load_file(tmp_path / "faces" / "vectors.safetensors")
    assert np.array_equal(tensors["vectors"], vectors) and np.array_equal(gallery.vectors, vectors)
    np.testing.assert_allclose(tensors["lengths"], 1.0, atol=1e-6)
    assert gallery.model == MODEL
    assert gallery.index["item"].tolist() == [f"{row}.jpg" for row in range(20)]


def test_gallery_of_nothing_says_so(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds no faces: no medium"):
        written(tmp_path, np.empty((0, 8), np.float32))


def test_nothing_is_left_of_a_gallery_whose_writing_failed(tmp_path: Path) -> None:
    before = written(tmp_path, unit_vectors(5, 8))
    with pytest.raises(StoreError, match="not finite"), write_gallery(tmp_path / "faces", MODEL) as gallery:
        gallery.add(["a"], ["b"], [1], np.full((1, 8), np.nan, np.float32))
    assert np.array_equal(read_gallery(tmp_path, "face").vectors, before.vectors)
    assert len(list((tmp_path / "faces").iterdir())) == 2


@pytest.mark.parametrize(
    ("query", "top", "words"),
    [
        (np.ones(9, np.float32), 1, "8 finite values"),
        (np.full(8, np.nan, np.float32), 1, "finite"),
        (np.ones(8, np.float32), 0, "top 0"),
    ],
)
def test_queries_that_have_no_answer_are_refused(tmp_path: Path, query: np.ndarray, top: int, words: str) -> None:
    with pytest.raises(ScoreError, match=words):
        written(tmp_path, unit_vectors(5, 8)).search(query, top)


def _flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(bytes(data))


DAMAGES = {
    "a flipped bit of a vector": lambda folder: _flip(folder / "vectors.safetensors", -200),
    "a flipped bit of a length": lambda folder: _flip(folder / "vectors.safetensors", -1),
    "cut off": lambda folder: (folder / "vectors.safetensors").write_bytes(
        (folder / "vectors.safetensors").read_bytes()[:-4]
    ),
    "empty": lambda folder: (folder / "vectors.safetensors").write_bytes(b""),
    "text": lambda folder: (folder / "vectors.safetensors").write_text("no gallery, but as long as a header\n" * 9),
    "index of another": lambda folder: (folder / "index.parquet").write_bytes(
        (folder.parent / "other" / "faces" / "index.parquet").read_bytes()
    ),
    "no index": lambda folder: (folder / "index.parquet").unlink(),
    "no vectors": lambda folder: (folder / "vectors.safetensors").unlink(),
    "a header that lies": lambda folder: _lie(folder / "vectors.safetensors"),
}


def _lie(path: Path) -> None:
    data = path.read_bytes()
    header = json.loads(data[8 : 8 + module._HEADER])
    header["vectors"]["shape"][0] += 1
    path.write_bytes(data[:8] + json.dumps(header).encode().ljust(module._HEADER) + data[8 + module._HEADER :])


@pytest.mark.parametrize("kind", DAMAGES)
def test_damaged_store_is_refused_by_name(tmp_path: Path, kind: str) -> None:
    written(tmp_path, unit_vectors(20, 8))
    with write_gallery(tmp_path / "other" / "faces", MODEL) as gallery:
        gallery.add([f"other {row}" for row in range(20)], ["d"] * 20, [1] * 20, unit_vectors(20, 8))
    DAMAGES[kind](tmp_path / "faces")
    with pytest.raises(StoreError, match=r"faces.*index the folder again"):
        read_gallery(tmp_path, "face")


def test_memory_to_write_does_not_grow_with_the_vectors(tmp_path: Path) -> None:
    part, parts = unit_vectors(2000, 256), 20  # 41 MB in all
    tracemalloc.start()
    with write_gallery(tmp_path / "faces", MODEL) as gallery:
        for number in range(parts):
            gallery.add([f"{number}/{row}" for row in range(2000)], ["d"] * 2000, [1] * 2000, part)
        _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 0.4 * part.nbytes * parts
