"""The table of faces between detection and embedding: box, landmarks and probability of each, no pixels."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd

from pipeline.errors import ExtractionError
from pipeline.extraction.item_cache import Arrays
from pipeline.extraction.rows import rows_by_item, rows_by_key
from pipeline.extraction.skips import Skip
from pipeline.files import atomic_path
from pipeline.media import SampledFrame

LANDMARKS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")  # of the image, in MTCNN's order
_MADE_BY = "detector"
_BOX = ["x1", "y1", "x2", "y2"]
_POINTS = [f"{point}_{axis}" for point in LANDMARKS for axis in "xy"]


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


@dataclass(frozen=True)
class Detect:
    """Sampled clips to their faces, all frames through the detector at once."""

    detector: Callable[[Sequence[np.ndarray]], Sequence[Face | None]]  # frames (H, W, 3) -> a face of each, or None

    def __call__(self, clips: Sequence[list[SampledFrame]]) -> list[Arrays]:
        """The result of each clip; raises ExtractionError if the detector gives more or fewer faces than frames."""
        images = [frame.image for clip in clips for frame in clip]
        found = self.detector(images)
        if len(found) != len(images):
            raise ExtractionError(f"the detector gave {len(found)} results for {len(images)} frames")
        faces = iter(found)
        return [detection_result(clip, [next(faces) for _ in clip]) for clip in clips]


def detection_result(frames: Sequence[SampledFrame], faces: Sequence[Face | None]) -> Arrays:
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
    """The items in whose frames no face was found, by name, with the number of sampled frames."""
    empty = sorted(item for item, arrays in results.items() if not len(arrays["frame"]))
    return [
        Skip(item, "detect_faces", f"no face in {int(results[item]['sampled'][0])} sampled frame(s)") for item in empty
    ]


def write_detections(
    path: Path, results: Mapping[str, Arrays], keys: Mapping[str, str], made_by: Mapping[str, object]
) -> None:
    """Write one row a face, sorted by item and frame; `keys` are the items' cache keys, `made_by` the provenance."""
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
    table.attrs = {_MADE_BY: dict(made_by)}  # in the file's own metadata
    with atomic_path(path) as temporary:
        table.to_parquet(temporary, index=False)


def read_faces(path: Path) -> tuple[dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]], dict[str, object]]:
    """Faces by item, in the table's order, and the provenance of the detector that found them.

    The faces of an item are frame numbers (n,), boxes (n, 4) and landmarks (n, 5, 2), px of the frame.
    """
    table = pd.read_parquet(path)
    frames = table["frame"].to_numpy(np.int32)
    boxes = table[_BOX].to_numpy(np.float32)
    landmarks = table[_POINTS].to_numpy(np.float32).reshape(-1, len(LANDMARKS), 2)
    found = {item: (frames[rows], boxes[rows], landmarks[rows]) for item, rows in rows_by_item(table).items()}
    return found, dict(table.attrs.get(_MADE_BY, {}))


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
