"""The table of faces between detection and embedding: box, landmarks and probability of each, no pixels."""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from pipeline.errors import ExtractionError
from pipeline.extraction.item_cache import Arrays
from pipeline.extraction.rows import batched, rows_by_item, rows_by_key
from pipeline.extraction.skips import Skip
from pipeline.files import atomic_path
from pipeline.media import SampledFrame
from pipeline.runtime.parquet import write_parts

LANDMARKS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")  # of the image, in MTCNN's order
FoundFaces = tuple[np.ndarray, np.ndarray, np.ndarray]  # frame numbers (n,), boxes (n, 4), landmarks (n, 5, 2), px

_MADE_BY = "detector"
_PART = 2048  # items or rows; bounds memory
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


def faceless(item: str, result: Arrays) -> Skip | None:
    """The skip of an item in whose frames no face was found, with the number of sampled frames."""
    if len(result["frame"]):
        return None
    return Skip(item, "detect_faces", f"no face in {int(result['sampled'][0])} sampled frame(s)")


@dataclass
class FrameCounts:
    """What detection found of results that go by."""

    sampled: int = 0  # frames
    accepted: int = 0  # frames with a face
    faceless: list[Skip] = field(default_factory=list)

    def counted(self, results: Iterable[tuple[str, str, Arrays]]) -> Iterator[tuple[str, str, Arrays]]:
        """The results, item, key and arrays, as they come."""
        for item, key, arrays in results:
            self.sampled += int(arrays["sampled"].sum())
            self.accepted += int(arrays["accepted"].sum())
            if (skip := faceless(item, arrays)) is not None:
                self.faceless.append(skip)
            yield item, key, arrays


def write_detections(path: Path, results: Iterable[tuple[str, str, Arrays]], made_by: Mapping[str, object]) -> None:
    """Write one row a face of results: item, key in the item cache and arrays, sorted by item.

    They are taken as they come, a part of them at a time in memory; where that raises, nothing is published. `made_by`
    is the provenance.
    """
    empty = _rows([])
    empty.attrs = {_MADE_BY: dict(made_by)}  # in the file's own metadata
    with atomic_path(path) as temporary:
        write_parts(temporary, empty, (_rows(part) for part in batched(results, _PART)))


def _rows(part: Sequence[tuple[str, str, Arrays]]) -> pd.DataFrame:
    faces = [len(arrays["frame"]) for _, _, arrays in part]

    def stacked(name: str) -> np.ndarray:
        empty = detection_result([], [])[name]  # keeps shape and type where no clip has a face
        return np.concatenate([empty[:0], *(arrays[name] for _, _, arrays in part)])

    def repeated(values: Sequence[str]) -> pd.Series:
        return pd.Series(np.repeat(np.array(values, object), faces), dtype="str")

    table = pd.DataFrame({"item": repeated([item for item, _, _ in part])})
    table = table.assign(frame=stacked("frame"), time=stacked("time"))
    table[_BOX] = stacked("box")
    table["probability"] = stacked("probability")
    table[_POINTS] = stacked("landmarks")
    table["sampled"] = np.repeat(stacked("sampled"), faces)
    table["key"] = repeated([key for _, key, _ in part])
    return table


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


@dataclass(frozen=True)
class FaceTable:
    """The faces of a table, item by item, without holding them."""

    path: Path

    def made_by(self) -> dict[str, object]:
        """The provenance of the detector that found them."""
        attrs = json.loads((pq.read_schema(self.path).metadata or {}).get(b"PANDAS_ATTRS", b"{}"))
        return dict(attrs.get(_MADE_BY, {}))

    def __iter__(self) -> Iterator[tuple[str, FoundFaces]]:
        """Item and its faces, as read_faces has them, in the table's order."""
        left = pd.DataFrame()  # the last item of a part may go on in the next
        with pq.ParquetFile(self.path) as file:
            for batch in file.iter_batches(_PART, columns=["item", "frame", *_BOX, *_POINTS]):
                part = pd.concat([left, batch.to_pandas()], ignore_index=True)
                found = list(rows_by_item(part).items())
                yield from _faces(part, found[:-1])
                left = part[found[-1][1]]
        yield from _faces(left, [(str(left["item"].iloc[0]), slice(None))] if len(left) else [])


def _faces(table: pd.DataFrame, found: Iterable[tuple[str, slice]]) -> Iterator[tuple[str, FoundFaces]]:
    if not len(table):
        return
    frames = table["frame"].to_numpy(np.int32)
    boxes = table[_BOX].to_numpy(np.float32)
    landmarks = table[_POINTS].to_numpy(np.float32).reshape(-1, len(LANDMARKS), 2)
    for item, rows in found:
        yield item, (frames[rows].copy(), boxes[rows].copy(), landmarks[rows].copy())  # not holding the whole part


def read_detections(path: Path, keys: Collection[str]) -> Iterator[dict[str, Arrays]]:
    """Results by cache key, for those of `keys` in the table that write_detections wrote, a part of them at a time.

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
    for part in batched(rows_by_key(table, keys).items(), _PART):
        yield {key: _result(columns, rows) for key, rows in part}


def _result(columns: Mapping[str, np.ndarray], rows: slice) -> Arrays:
    arrays = {name: column[rows] for name, column in columns.items()}
    return {**arrays, "sampled": arrays["sampled"][:1], "accepted": np.array([len(arrays["frame"])], np.int32)}
