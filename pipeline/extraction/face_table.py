"""The table of faces between detection and embedding: where each is, how sure the detector was, no pixels."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd

from pipeline.extraction.item_cache import Arrays
from pipeline.extraction.rows import rows_by_key
from pipeline.extraction.skips import Skip
from pipeline.files import atomic_path

LANDMARKS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")  # of the image, in MTCNN's order
_BOX = ["x1", "y1", "x2", "y2"]
_POINTS = [f"{point}_{axis}" for point in LANDMARKS for axis in "xy"]


class Frame(Protocol):
    """A frame that was looked at."""

    @property
    def frame(self) -> int:
        """Number in decode order, from 0."""
        ...

    @property
    def time(self) -> float:
        """Seconds since the first frame."""
        ...


class Face(Protocol):
    """A face that was found."""

    @property
    def box(self) -> np.ndarray:
        """(4,) x1 y1 x2 y2, px of the original frame."""
        ...

    @property
    def probability(self) -> float:
        """How sure the detector is, 0 to 1."""
        ...

    @property
    def landmarks(self) -> np.ndarray:
        """(5, 2) px; NaN where the detector finds none."""
        ...


def detection_result(frames: Sequence[Frame], faces: Sequence[Face | None]) -> Arrays:
    """One clip's sampled frames and their faces as a cacheable result; the frames without a face are only counted."""
    found = [(frame, face) for frame, face in zip(frames, faces, strict=True) if face is not None]
    return {
        "frame": np.array([frame.frame for frame, _ in found], np.int32),
        "time": np.array([frame.time for frame, _ in found], np.float64),
        "box": np.array([face.box for _, face in found], np.float32).reshape(-1, 4),
        "probability": np.array([face.probability for _, face in found], np.float32),
        "landmarks": np.array([face.landmarks for _, face in found], np.float32).reshape(-1, 10),
        "sampled": np.array([len(frames)], np.int32),
        "accepted": np.array([len(found)], np.int32),
    }


def faceless(results: Mapping[str, Arrays]) -> list[Skip]:
    """The items in whose frames no face was found, by name, with the number of frames that were looked at."""
    empty = sorted(item for item, arrays in results.items() if not len(arrays["frame"]))
    return [
        Skip(item, "detect_faces", f"no face in {int(results[item]['sampled'][0])} sampled frame(s)") for item in empty
    ]


def write_detections(path: Path, results: Mapping[str, Arrays], keys: Mapping[str, str]) -> None:
    """Write one row a face, sorted by item and frame; `keys` are the items' cache keys."""
    items = sorted(results)
    faces = [len(results[item]["frame"]) for item in items]

    def stacked(name: str) -> np.ndarray:
        empty = detection_result([], [])[name]  # keeps shape and type where no clip has a face
        return np.concatenate([empty[:0], *(results[item][name] for item in items)])

    def repeated(values: Sequence[str]) -> pd.Series:
        return pd.Series(np.repeat(np.array(values, object), faces), dtype="str")

    table = pd.DataFrame({"item": repeated(items), "frame": stacked("frame"), "time": stacked("time")})
    table[_BOX] = stacked("box")
    table["probability"] = stacked("probability")
    table[_POINTS] = stacked("landmarks")
    table["sampled"] = np.repeat(stacked("sampled"), faces)
    table["key"] = repeated([keys[item] for item in items])
    with atomic_path(path) as temporary:
        table.to_parquet(temporary, index=False)


def read_detections(path: Path, keys: Collection[str]) -> dict[str, Arrays]:
    """Results by cache key, for those of `keys` in the table that write_detections wrote.

    Clips without any face are not in it.
    """
    table = pd.read_parquet(path)
    columns = {
        "frame": table["frame"].to_numpy(np.int32),
        "time": table["time"].to_numpy(np.float64),
        "box": table[_BOX].to_numpy(np.float32),
        "probability": table["probability"].to_numpy(np.float32),
        "landmarks": table[_POINTS].to_numpy(np.float32),
        "sampled": table["sampled"].to_numpy(np.int32),
    }
    return {key: _result(columns, rows) for key, rows in rows_by_key(table, keys).items()}


def _result(columns: Mapping[str, np.ndarray], rows: slice) -> Arrays:
    arrays = {name: column[rows] for name, column in columns.items()}
    return {**arrays, "sampled": arrays["sampled"][:1], "accepted": np.array([len(arrays["frame"])], np.int32)}
