"""The detector against facenet-pytorch's MTCNN(), face by face: `python -m tools.benchmarks.detection --frames FOLDER`.

Both look for every face of the same frames (images, and films once a second), with the thresholds of params.yaml, and
take turns: facenet-pytorch a frame at a time, as its README shows it, ours sixteen frames a call. Boxes that overlap by
half are of one face, which is embedded through either box by params.yaml's extractor. The exit code is 1 where a face
is lost or the boxes of a folder are further apart than is allowed: median overlap .97, every cosine .99.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from extractors.faces.face import FaceExtractor, face_extractor
from extractors.faces.mtcnn import MTCNN, scale_down
from pipeline.config import load_params
from pipeline.manifest.schema import KIND_OF_SUFFIX, suffix_of
from pipeline.media import sample_frames
from pipeline.runtime.compat import import_facenet_pytorch
from pipeline.runtime.device import select_device

_ROOT = Path(__file__).parents[2]
_SAME = 0.5  # intersection over union from which two boxes are of one face
_OVERLAP, _COSINE = 0.97, 0.99  # allowed: median of the first, minimum of the second
_AT_ONCE = 16  # frames
_PER_FILM = 8  # frames, one a second

Find = Callable[[Sequence[np.ndarray]], list[np.ndarray]]  # frames -> the boxes (N, 4) of each


@dataclass
class Comparison:
    """Of the frames of one folder."""

    lost: int = 0  # faces that facenet-pytorch alone found
    new: int = 0  # faces that ours alone found
    overlaps: list[float] = field(default_factory=list)  # of each face that both found
    shifts: list[float] = field(default_factory=list)  # px, the largest of a box
    cosines: list[float] = field(default_factory=list)
    plain: tuple[float, float] = (0.0, 0.0)  # ms a frame: wall clock, and work of all cores; medians over the parts
    ours: tuple[float, float] = (0.0, 0.0)

    def holds(self) -> bool:
        """Whether no face was lost and the boxes are as near as is allowed."""
        near = bool(self.overlaps) and statistics.median(self.overlaps) >= _OVERLAP and min(self.cosines) >= _COSINE
        return near and not self.lost


def main() -> None:
    """Compare on every folder and write a table."""
    parser = argparse.ArgumentParser(prog="python -m tools.benchmarks.detection", description=__doc__)
    parser.add_argument("--frames", type=Path, nargs="+", default=[_ROOT / "data" / "demo"], help="folders of media")
    parser.add_argument("--most", type=int, default=64, help="frames of a folder")
    parser.add_argument("--size", help="WIDTHxHEIGHT that all frames are resized to; default: as they are")
    parser.add_argument("--min-face", type=int, help="px; default: that of params.yaml")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    params, device = load_params(_ROOT / "params.yaml"), select_device()
    changed = {} if arguments.min_face is None else {"min_face": arguments.min_face}
    options = MTCNN.Options.model_validate({**params.detect_faces.options, **changed})
    detector, extractor = MTCNN(options, device), face_extractor(params.embed_faces, device)
    library = import_facenet_pytorch()
    plain = library.MTCNN(min_face_size=options.min_face, thresholds=options.thresholds, keep_all=True, device=device)

    def theirs(frames: Sequence[np.ndarray]) -> list[np.ndarray]:
        found = (plain.detect(frame)[0] for frame in frames)
        return [np.zeros((0, 4), np.float32) if boxes is None else boxes.astype(np.float32) for boxes in found]

    def ours(frames: Sequence[np.ndarray]) -> list[np.ndarray]:
        found = ([face.box for face in faces] for faces in detector.all_faces(frames))
        return [np.array(boxes, np.float32).reshape(-1, 4) for boxes in found]

    sys.stdout.write(
        f"{device.type}, {os.cpu_count()} cores at load {os.getloadavg()[0]:.1f}; {options!r}\n{_HEADER}\n"
    )
    held = True
    for folder in arguments.frames:
        frames = _frames(folder, arguments.most, arguments.size, options.max_side)
        compared = compare(frames, theirs, ours, extractor, arguments.repeats)
        sys.stdout.write(f"{_row(folder.name, frames, compared)}\n")
        sys.stdout.flush()
        held = held and compared.holds()
    sys.exit(0 if held else 1)


def compare(
    frames: Sequence[np.ndarray], plain: Find, ours: Find, extractor: FaceExtractor, repeats: int
) -> Comparison:
    """What both find, how far it is apart, and how long it takes them, in turns."""
    compared = Comparison()
    spent: dict[Find, list[tuple[float, float]]] = {plain: [], ours: []}
    parts = [frames[start : start + _AT_ONCE] for start in range(0, len(frames), _AT_ONCE)]
    found = {find: [boxes for part in parts for boxes in find(part)] for find in (plain, ours)}  # and warms up
    for part in parts * repeats:
        for find, times in spent.items():
            start, worked = time.perf_counter(), time.process_time()
            find(part)
            taken = time.perf_counter() - start, time.process_time() - worked
            times.append((taken[0] / len(part) * 1000, taken[1] / len(part) * 1000))
    compared.plain, compared.ours = (_medians(times) for times in spent.values())
    for frame, theirs, mine in zip(frames, found[plain], found[ours], strict=True):
        pairs = _pairs(theirs, mine)
        compared.lost += len(theirs) - len(pairs)
        compared.new += len(mine) - len(pairs)
        for one, other in pairs:
            compared.overlaps.append(_overlap(theirs[one], mine[other]))
            compared.shifts.append(float(np.abs(theirs[one] - mine[other]).max()))
            vectors = [_embedded(extractor, frame, box) for box in (theirs[one], mine[other])]
            compared.cosines.append(float(np.dot(*vectors)))
    return compared


def _medians(times: Sequence[tuple[float, float]]) -> tuple[float, float]:
    walls, works = zip(*times, strict=True)
    return statistics.median(walls), statistics.median(works)


def _pairs(theirs: np.ndarray, mine: np.ndarray) -> list[tuple[int, int]]:
    """Indices of boxes of one face, the nearest first; a box is in one pair at most."""
    overlaps = {(i, j): _overlap(a, b) for i, a in enumerate(theirs) for j, b in enumerate(mine)}
    pairs: list[tuple[int, int]] = []
    for (i, j), shared in sorted(overlaps.items(), key=lambda item: -item[1]):
        if shared >= _SAME and all(i != one and j != other for one, other in pairs):
            pairs.append((i, j))
    return pairs


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union."""
    shared = np.maximum(0, np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])).prod()
    return float(shared / ((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - shared))


def _embedded(extractor: FaceExtractor, frame: np.ndarray, box: np.ndarray) -> np.ndarray:
    crop = extractor.preparer()(frame, box, np.full((5, 2), np.nan, np.float32))
    (vector,) = extractor([crop])
    if not isinstance(vector, np.ndarray):
        raise vector
    return vector


def _frames(folder: Path, most: int, size: str | None, max_side: int) -> list[np.ndarray]:
    """Frames of all films and images below the folder, a film's in turn with the others', as the detector sees them."""
    files = sorted(path for path in folder.rglob("*") if KIND_OF_SUFFIX.get(suffix_of(path)) in ("video", "image"))
    sampled = [[frame.image for frame in sample_frames(path, 1.0, _PER_FILM)] for path in files[:most]]
    frames = [of_file[turn] for turn in range(_PER_FILM) for of_file in sampled if turn < len(of_file)][:most]
    if not frames:
        sys.exit(f"{folder}: no films or images")
    if size:
        width, height = (int(side) for side in size.split("x"))
        frames = [cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA) for frame in frames]
    return [scale_down(frame, max_side) for frame in frames]


_HEADER = (
    "| folder | frames | faces of both | lost | new | overlap: least, median | px apart | cosine: least, median "
    "| facenet-pytorch, ms a frame (of all cores) | ours | ratio |\n|---|---|---|---|---|---|---|---|---|---|---|"
)


def _row(name: str, frames: Sequence[np.ndarray], one: Comparison) -> str:
    sizes = sorted({frame.shape[:2] for frame in frames})
    shown = f"{sizes[0][1]}x{sizes[0][0]}" if len(sizes) == 1 else f"{len(sizes)} sizes"
    near = [
        f"{min(values):.5f}, {statistics.median(values):.5f}" if values else "none"
        for values in (one.overlaps, one.cosines)
    ]
    faces = f"{len(one.overlaps)} | {one.lost} | {one.new} | {near[0]} | {max(one.shifts, default=0):.4f} | {near[1]}"
    times = " | ".join(f"{wall:.1f} ({work:.1f})" for wall, work in (one.plain, one.ours))
    ratio = f"{one.plain[0] / one.ours[0]:.2f} ({one.plain[1] / one.ours[1]:.2f})"
    return f"| {name} | {len(frames)} of {shown} | {faces} | {times} | {ratio} |"


if __name__ == "__main__":
    main()
