"""The packed store: same items, same bytes; nothing unsound goes in or comes out."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors import safe_open
from safetensors.numpy import save

from pipeline import store as module
from pipeline.errors import StoreError
from pipeline.files import sha256_of
from pipeline.store import INDEX, MATRIX, read_store, rows_of, write_store

PROVENANCE = {"extractor": "test", "dimension": 4, "weights": "none", "fingerprint": "f"}


def unit_rows(count: int) -> np.ndarray:
    rows = np.random.default_rng(0).normal(size=(count, 4))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def index_of(count: int) -> pd.DataFrame:
    items = [f"id{i // 4}/clip{i // 2}.mp4" for i in range(count)]
    columns = {"item": items, "frame": [i % 2 * 10 for i in range(count)], "identity": [i.split("/")[0] for i in items]}
    return pd.DataFrame({**columns, "clip": items, "digest": ["d"] * count, "key": ["k"] * count})


def test_rows_come_back_sorted_with_their_vectors(tmp_path: Path) -> None:
    matrix, index = unit_rows(8), index_of(8)
    order = np.random.default_rng(1).permutation(8)
    write_store(tmp_path, matrix[order], index.iloc[order], PROVENANCE)
    store = read_store(tmp_path)
    np.testing.assert_array_equal(store.matrix, matrix)
    assert store.index["item"].tolist() == index["item"].tolist() and store.index["frame"].tolist() == [0, 10] * 4
    assert dict(store.provenance) == PROVENANCE


def test_bytes_do_not_depend_on_the_order_of_extraction(tmp_path: Path) -> None:
    matrix, index = unit_rows(8), index_of(8)
    digests = set()
    for seed in range(4):
        order = np.random.default_rng(seed).permutation(8)
        write_store(tmp_path / str(seed), matrix[order], index.iloc[order], PROVENANCE)
        digests.add((sha256_of(tmp_path / str(seed) / MATRIX), sha256_of(tmp_path / str(seed) / INDEX)))
    assert len(digests) == 1


def test_empty_store_is_a_store(tmp_path: Path) -> None:
    write_store(tmp_path, np.empty((0, 4), np.float32), index_of(0), PROVENANCE)
    assert read_store(tmp_path).matrix.shape == (0, 4)


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0, 2.0])
def test_vector_that_is_no_finite_unit_vector_is_refused_by_name(tmp_path: Path, value: float) -> None:
    matrix = unit_rows(8)
    matrix[5] = value
    with pytest.raises(StoreError, match=r"id1/clip2\.mp4.* frame 10"):
        write_store(tmp_path, matrix, index_of(8), PROVENANCE)
    assert not (tmp_path / MATRIX).exists()


def test_matrix_that_does_not_fit_its_index_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="does not fit"):
        write_store(tmp_path, unit_rows(8), index_of(6), PROVENANCE)
    with pytest.raises(StoreError, match="digest"):
        write_store(tmp_path, unit_rows(8), index_of(8).drop(columns="digest"), PROVENANCE)


@pytest.mark.parametrize("name", [MATRIX, INDEX])
@pytest.mark.parametrize("damage", ["absent", "empty", "truncated", "header"])
def test_damaged_file_is_an_error_with_a_remedy(tmp_path: Path, name: str, damage: str) -> None:
    write_store(tmp_path, unit_rows(8), index_of(8), PROVENANCE)
    path, data = tmp_path / name, (tmp_path / name).read_bytes()
    if damage == "absent":
        path.unlink()
    else:
        path.write_bytes(
            {"empty": b"", "truncated": data[: len(data) // 2], "header": b"\xff" * 16 + data[16:]}[damage]
        )
    with pytest.raises(StoreError, match="dvc repro"):
        read_store(tmp_path)


def test_files_of_different_runs_do_not_mix(tmp_path: Path) -> None:
    write_store(tmp_path, unit_rows(8), index_of(8), PROVENANCE)
    index_of(8)[::-1].to_parquet(tmp_path / INDEX)
    with pytest.raises(StoreError, match="of another run"):
        read_store(tmp_path)


@pytest.mark.parametrize("name", [MATRIX, INDEX])
def test_any_flipped_bit_is_noticed(tmp_path: Path, name: str) -> None:
    write_store(tmp_path, unit_rows(8), index_of(8), PROVENANCE)
    data = (tmp_path / name).read_bytes()
    for at in range(0, len(data), 7):
        (tmp_path / name).write_bytes(data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :])
        with pytest.raises(StoreError):
            read_store(tmp_path)


def test_provenance_comes_back_as_it_was_given(tmp_path: Path) -> None:
    write_store(tmp_path, unit_rows(8), index_of(8), PROVENANCE)
    assert read_store(tmp_path).provenance == PROVENANCE


def test_matrix_file_is_the_one_that_safetensors_writes(tmp_path: Path) -> None:
    matrix = unit_rows(8)
    write_store(tmp_path, matrix, index_of(8), {**PROVENANCE, "note": 'Zürich "\\" 1'})
    with safe_open(tmp_path / MATRIX, framework="numpy") as file:
        metadata = file.metadata()
        np.testing.assert_array_equal(file.get_tensor("embeddings"), matrix)
    assert (tmp_path / MATRIX).read_bytes() == save({"embeddings": matrix}, metadata=metadata)


def test_matrix_that_was_read_stays_on_the_disk_and_cannot_be_changed(tmp_path: Path) -> None:
    write_store(tmp_path, unit_rows(8), index_of(8), PROVENANCE)
    matrix = read_store(tmp_path).matrix
    with pytest.raises(ValueError, match="read-only"):
        matrix[:] = 0


@pytest.mark.parametrize("rows", [[], [3], [7, 0, 0, 5, 7], list(range(8)) * 400])
def test_rows_of_a_store_are_copies_in_the_order_of_the_question(tmp_path: Path, rows: list[int]) -> None:
    write_store(tmp_path, unit_rows(8), index_of(8), PROVENANCE)
    matrix, wanted = read_store(tmp_path).matrix, np.array(rows, dtype=np.int64)
    for one in (matrix, np.array(matrix), matrix[:, 1:3]):
        found = rows_of(one, wanted)
        np.testing.assert_array_equal(found, np.array(one)[wanted])
        found[:] = 0.0
    np.testing.assert_array_equal(matrix, unit_rows(8))


def test_array_in_memory_keeps_its_values_when_rows_are_taken_of_it(tmp_path: Path) -> None:
    """Only what is mapped for reading may be forgotten: what was written into a private map would be lost."""
    np.save(tmp_path / "rows.npy", unit_rows(8))
    changed = np.load(tmp_path / "rows.npy", mmap_mode="c")
    changed[2] = 5.0
    rows_of(changed, np.array([2]))
    assert (changed[2] == 5.0).all()


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="Linux alone says what is resident")
def test_memory_holds_the_rows_that_were_asked_for_and_not_the_file(tmp_path: Path) -> None:
    rows = np.eye(1, 512, dtype=np.float32).repeat(20_000, axis=0)  # 41 MB
    write_store(tmp_path, rows, index_of(len(rows)), PROVENANCE)
    matrix = read_store(tmp_path).matrix
    assert matrix[::10].copy().shape == (2000, 512)
    assert resident(tmp_path / MATRIX) > 20_000_000  # as it would be without
    rows_of(matrix, np.arange(0, len(rows), 10))
    assert resident(tmp_path / MATRIX) == 0


def resident(path: Path) -> int:
    """Bytes of a mapped file that are in this process's memory."""
    lines = iter(Path("/proc/self/smaps").read_text().splitlines())
    return sum(
        next(1024 * int(after.split()[1]) for after in lines if after.startswith("Rss:"))
        for line in lines
        if line.endswith(str(path))
    )


def test_vectors_are_those_that_were_checked_though_the_file_is_replaced_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As DVC and the next run do: by a new file of the same name."""
    write_store(tmp_path / "old", unit_rows(8), index_of(8), PROVENANCE)
    write_store(tmp_path / "new", unit_rows(8)[::-1], index_of(8), PROVENANCE)
    real = module._digest

    def replaced_once_checked(*arguments: Any) -> str:
        digest = real(*arguments)
        (tmp_path / "new" / MATRIX).replace(tmp_path / "old" / MATRIX)
        return digest

    monkeypatch.setattr(module, "_digest", replaced_once_checked)
    np.testing.assert_array_equal(read_store(tmp_path / "old").matrix, unit_rows(8))
