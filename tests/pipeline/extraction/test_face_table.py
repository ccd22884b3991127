"""The table between detection and embedding."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.extraction.face_table import detection_result, read_detections, read_faces, write_detections


@dataclass
class Frame:
    frame: int
    time: float


@dataclass
class Face:
    box: np.ndarray
    probability: float
    landmarks: np.ndarray


def face(offset: float) -> Face:
    return Face(np.arange(4.0) + offset, 0.99, np.arange(10.0).reshape(5, 2) + offset)


def test_frames_without_a_face_are_counted_and_leave_no_row(tmp_path: Path) -> None:
    clip = [Frame(0, 0.0), Frame(12, 1.0), Frame(24, 2.0)]
    result = detection_result(clip, [face(1.0), None, face(3.0)])
    assert (int(result["sampled"][0]), int(result["accepted"][0])) == (3, 2)
    write_detections(tmp_path / "d.parquet", {"clip": result}, {"clip": "k"}, {})
    table = pd.read_parquet(tmp_path / "d.parquet")
    assert table["frame"].tolist() == [0, 24] and table["time"].tolist() == [0.0, 2.0]
    assert table[["x1", "y1", "x2", "y2"]].to_numpy().tolist() == [[1, 2, 3, 4], [3, 4, 5, 6]]
    assert table.loc[0, "left_eye_x"] == 1 and table.loc[0, "mouth_right_y"] == 10
    assert table["sampled"].tolist() == [3, 3]


def test_items_are_sorted_whatever_the_order_of_results(tmp_path: Path) -> None:
    one = detection_result([Frame(0, 0.0)], [face(0.0)])
    keys = {"a": "1", "b": "2"}
    write_detections(tmp_path / "1.parquet", {"b": one, "a": one}, keys, {})
    write_detections(tmp_path / "2.parquet", {"a": one, "b": one}, keys, {})
    assert pd.read_parquet(tmp_path / "1.parquet")["item"].tolist() == ["a", "b"]
    assert (tmp_path / "1.parquet").read_bytes() == (tmp_path / "2.parquet").read_bytes()


def test_corpus_without_faces_keeps_the_columns(tmp_path: Path) -> None:
    write_detections(tmp_path / "d.parquet", {}, {}, {})
    table = pd.read_parquet(tmp_path / "d.parquet")
    assert len(table) == 0 and {"item", "frame", "x1", "nose_y", "key"} <= set(table.columns)


def test_results_come_back_by_key_as_they_were_written(tmp_path: Path) -> None:
    clips = {
        "a": detection_result([Frame(0, 0.0), Frame(9, 0.4), Frame(20, 0.8)], [face(1.5), None, face(40.0)]),
        "b": detection_result([Frame(3, 0.1)], [face(7.0)]),
    }
    write_detections(tmp_path / "d.parquet", clips, {"a": "key a", "b": "key b"}, {})
    found = read_detections(tmp_path / "d.parquet", ["key a", "key b", "key of none"])
    assert set(found) == {"key a", "key b"}
    for item, result in clips.items():
        assert set(found[f"key {item}"]) == set(result)
        for name, array in result.items():
            np.testing.assert_array_equal(found[f"key {item}"][name], array, err_msg=name)
            assert found[f"key {item}"][name].dtype == array.dtype, name


def test_embedding_reads_faces_with_landmarks_and_who_found_them(tmp_path: Path) -> None:
    clip = detection_result([Frame(2, 0.1), Frame(9, 0.4)], [face(1.0), face(5.0)])
    detector = {"extractor": "mtcnn", "options": {"min_face": 40}}
    write_detections(tmp_path / "d.parquet", {"a": clip}, {"a": "k"}, detector)
    found, made_by = read_faces(tmp_path / "d.parquet")
    frames, boxes, landmarks = found["a"]
    assert frames.tolist() == [2, 9] and boxes.tolist() == clip["box"].tolist()
    np.testing.assert_array_equal(landmarks, [face(1.0).landmarks, face(5.0).landmarks])
    assert made_by == detector


def test_only_the_wanted_keys_are_read(tmp_path: Path) -> None:
    one = detection_result([Frame(0, 0.0)], [face(0.0)])
    write_detections(tmp_path / "d.parquet", {"a": one, "b": one}, {"a": "1", "b": "2"}, {})
    assert set(read_detections(tmp_path / "d.parquet", {"2"})) == {"2"}
    assert read_detections(tmp_path / "d.parquet", set()) == {}


def test_two_items_of_the_same_bytes_are_one_result(tmp_path: Path) -> None:
    clip = detection_result([Frame(0, 0.0), Frame(9, 0.4)], [face(1.0), face(2.0)])
    write_detections(tmp_path / "d.parquet", {"copy": clip, "film": clip}, {"copy": "k", "film": "k"}, {})
    found = read_detections(tmp_path / "d.parquet", ["k"])["k"]
    for name, array in clip.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)
