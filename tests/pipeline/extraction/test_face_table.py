"""The table between detection and embedding."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.extraction import face_table
from pipeline.extraction.face_table import FaceTable, detection_result, read_detections, read_faces, write_detections
from pipeline.extraction.item_cache import Arrays


@dataclass
class Frame:
    frame: int
    time: float


@dataclass
class Face:
    box: np.ndarray
    probability: float
    landmarks: np.ndarray


def read(path: Path, keys: Collection[str]) -> dict[str, Arrays]:
    return {key: result for part in read_detections(path, keys) for key, result in part.items()}


def face(offset: float) -> Face:
    return Face(np.arange(4.0) + offset, 0.99, np.arange(10.0).reshape(5, 2) + offset)


def test_frames_without_a_face_are_counted_and_leave_no_row(tmp_path: Path) -> None:
    clip = [Frame(0, 0.0), Frame(12, 1.0), Frame(24, 2.0)]
    result = detection_result(clip, [face(1.0), None, face(3.0)])
    assert (int(result["sampled"][0]), int(result["accepted"][0])) == (3, 2)
    write_detections(tmp_path / "d.parquet", [("clip", "k", result)], {})
    table = pd.read_parquet(tmp_path / "d.parquet")
    assert table["frame"].tolist() == [0, 24] and table["time"].tolist() == [0.0, 2.0]
    assert table[["x1", "y1", "x2", "y2"]].to_numpy().tolist() == [[1, 2, 3, 4], [3, 4, 5, 6]]
    assert table.loc[0, "left_eye_x"] == 1 and table.loc[0, "mouth_right_y"] == 10
    assert table["sampled"].tolist() == [3, 3]


def test_table_is_the_same_however_many_items_are_written_at_a_time(tmp_path: Path, monkeypatch) -> None:
    """And the same, byte for byte, as DataFrame.to_parquet writes the whole."""
    results = [
        (f"{i:03}", f"k{i}", detection_result([Frame(i, 0.1), Frame(i + 1, 0.2)], [face(i), face(0.5 * i)]))
        for i in range(300)
    ]
    for size in (3, 1000):
        monkeypatch.setattr(face_table, "_PART", size)
        write_detections(tmp_path / f"{size}.parquet", iter(results), {"extractor": "mtcnn"})
    pd.read_parquet(tmp_path / "3.parquet").to_parquet(tmp_path / "whole.parquet", index=False)
    assert len({(tmp_path / f"{name}.parquet").read_bytes() for name in ("3", "1000", "whole")}) == 1


@pytest.mark.parametrize("size", [1, 2, 5, 1000])
def test_faces_are_gone_through_item_by_item_wherever_a_part_of_the_table_ends(
    tmp_path: Path, monkeypatch, size: int
) -> None:
    results = []
    for i in range(12):
        frames = [Frame(n, 0.1 * n) for n in range(i % 4)]
        results.append((f"{i:02}", f"k{i}", detection_result(frames, [face(10.0 * i + n) for n in range(i % 4)])))
    write_detections(tmp_path / "d.parquet", results, {"extractor": "mtcnn"})
    monkeypatch.setattr(face_table, "_PART", size)
    table = FaceTable(tmp_path / "d.parquet")
    found, whole = list(table), read_faces(tmp_path / "d.parquet")
    assert [item for item, _ in found] == list(whole[0])
    for item, faces in found:
        for one, other in zip(faces, whole[0][item], strict=True):
            np.testing.assert_array_equal(one, other)
            assert one.dtype == other.dtype
    assert table.made_by() == whole[1] == {"extractor": "mtcnn"}


def test_corpus_without_faces_keeps_the_columns(tmp_path: Path) -> None:
    write_detections(tmp_path / "d.parquet", [], {})
    table = pd.read_parquet(tmp_path / "d.parquet")
    assert len(table) == 0 and {"item", "frame", "x1", "nose_y", "key"} <= set(table.columns)


def test_results_come_back_by_key_as_they_were_written(tmp_path: Path) -> None:
    clips = {
        "a": detection_result([Frame(0, 0.0), Frame(9, 0.4), Frame(20, 0.8)], [face(1.5), None, face(40.0)]),
        "b": detection_result([Frame(3, 0.1)], [face(7.0)]),
    }
    write_detections(tmp_path / "d.parquet", [(item, f"key {item}", clip) for item, clip in clips.items()], {})
    found = read(tmp_path / "d.parquet", ["key a", "key b", "key of none"])
    assert set(found) == {"key a", "key b"}
    for item, result in clips.items():
        assert set(found[f"key {item}"]) == set(result)
        for name, array in result.items():
            np.testing.assert_array_equal(found[f"key {item}"][name], array, err_msg=name)
            assert found[f"key {item}"][name].dtype == array.dtype, name


def test_embedding_reads_faces_with_landmarks_and_who_found_them(tmp_path: Path) -> None:
    clip = detection_result([Frame(2, 0.1), Frame(9, 0.4)], [face(1.0), face(5.0)])
    detector = {"extractor": "mtcnn", "options": {"min_face": 40}}
    write_detections(tmp_path / "d.parquet", [("a", "k", clip)], detector)
    found, made_by = read_faces(tmp_path / "d.parquet")
    frames, boxes, landmarks = found["a"]
    assert frames.tolist() == [2, 9] and boxes.tolist() == clip["box"].tolist()
    np.testing.assert_array_equal(landmarks, [face(1.0).landmarks, face(5.0).landmarks])
    assert made_by == detector


def test_only_the_wanted_keys_are_read(tmp_path: Path) -> None:
    one = detection_result([Frame(0, 0.0)], [face(0.0)])
    write_detections(tmp_path / "d.parquet", [("a", "1", one), ("b", "2", one)], {})
    assert set(read(tmp_path / "d.parquet", {"2"})) == {"2"}
    assert read(tmp_path / "d.parquet", set()) == {}


def test_two_items_of_the_same_bytes_are_one_result(tmp_path: Path) -> None:
    clip = detection_result([Frame(0, 0.0), Frame(9, 0.4)], [face(1.0), face(2.0)])
    write_detections(tmp_path / "d.parquet", [("copy", "k", clip), ("film", "k", clip)], {})
    found = read(tmp_path / "d.parquet", ["k"])["k"]
    for name, array in clip.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)
