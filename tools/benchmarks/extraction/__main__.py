"""Compare: `python -m tools.benchmarks.extraction [--clips 96] [--films 24] [--repeats 3] [--workers 2]`.

Stages, in float32 and in bfloat16, and plain loops take turns on the same media as whole commands, so that all pay for
their start. What a stage costs when all is cached is its start; the rest is extraction. Medians over the repeats. A
run of the stages goes before, not counted, in which they convert their networks and keep them.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.config import load_params
from tests.stages.project import ROOT, Project
from tools.benchmarks.extraction.commands import (
    clips_of,
    detection_settings,
    films_of,
    forget_items,
    project_of,
    timed,
    utterances_of,
    write_frames,
)

_PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True)
class Side:
    """What one side takes, s: medians over the repeats."""

    whole: float  # wall clock
    cpu: float  # of all its processes
    extraction: float  # wall clock without the start


@dataclass(frozen=True)
class Comparison:
    """Both sides on the same media, and how far their vectors are apart."""

    name: str
    media: int
    precision: str
    plain: Side
    ours: Side
    rows: int  # vectors that both have
    only_plain: int
    only_ours: int
    cosines: np.ndarray  # (rows,) of the two vectors of one face or utterance


@dataclass(frozen=True)
class Subject:
    """What is compared: media, the plain loop over them, and the stages that do the same."""

    name: str
    media: Mapping[str, Path]
    stages: Sequence[str]
    section: str  # of params.yaml, with the precision
    store: str


def main() -> None:
    """Run all comparisons and write a table."""
    parser = argparse.ArgumentParser(prog="python -m tools.benchmarks.extraction", description=__doc__)
    parser.add_argument("--clips", type=int, default=96, help="of the media folder, as they are: 0 leaves them out")
    parser.add_argument("--films", type=int, default=24, help="640 x 480 films made of clips: 0 leaves them out")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--media", type=Path, default=ROOT / "data" / "demo", help="a folder per person, mp4 in it")
    parser.add_argument("--filmed", type=Path, help="folder of the clips that films are made of; by default --media")
    arguments = parser.parse_args()
    faces = ("detect_faces", "embed_faces"), "embed_faces", "faces"
    with tempfile.TemporaryDirectory() as scratch:
        load = os.getloadavg()[0]
        folder, subjects = Path(scratch), []
        if arguments.clips:
            clips = clips_of(arguments.media, arguments.clips)
            sounds = utterances_of(folder / "wav", clips)
            subjects.append(Subject("faces", clips, *faces))
            subjects.append(Subject("voices", sounds, ("embed_voices",), "embed_voices", "voices"))
        if arguments.films:
            films = films_of(folder / "films", clips_of(arguments.filmed or arguments.media, arguments.films))
            subjects.append(Subject("faces, 640 x 480", films, *faces))
        sys.stdout.write(_HEAD)
        for number, subject in enumerate(subjects):
            compared = compare(folder / str(number), subject, arguments.repeats, arguments.workers)
            sys.stdout.write("".join(map(_line, compared)))
            sys.stdout.flush()
        sys.stdout.write(f"{os.cpu_count()} cores, load {load:.1f} before and {os.getloadavg()[0]:.1f} after\n")


def compare(folder: Path, subject: Subject, repeats: int, workers: int) -> list[Comparison]:
    """The plain loop against the stages in each precision; all take turns."""
    projects = {
        precision: project_of(folder / precision, subject.media, **{subject.section: {"precision": precision}})
        for precision in _PRECISIONS
    }
    first = projects[_PRECISIONS[0]]
    command = (_plain_voices if subject.store == "voices" else _plain_faces)(first, sorted(subject.media))
    loops, plain = [], []
    wholes: dict[str, list[np.ndarray]] = {precision: [] for precision in projects}
    cached: dict[str, list[np.ndarray]] = {precision: [] for precision in projects}
    for project in projects.values():
        _extract(project, subject.stages, workers)
    for _ in range(repeats):
        plain.append(timed(first, command, workers))
        loops.append(float(np.load(command[3])["seconds"]))
        for precision, project in projects.items():
            forget_items(project)
            for found in (wholes, cached):
                found[precision].append(_extract(project, subject.stages, workers))
    reference = _plain_vectors(first, command[3])
    theirs = Side(*np.median(plain, axis=0), statistics.median(loops))
    found = []
    for precision, project in projects.items():
        whole, start = np.median(wholes[precision], axis=0), np.median(cached[precision], axis=0)
        ours, mine = Side(*whole, whole[0] - start[0]), _vectors(project, subject.store)
        found.append(_compared(subject, precision, theirs, ours, reference, mine))
    return found


def _extract(project: Project, stages: Sequence[str], workers: int) -> np.ndarray:
    """Wall clock and CPU time (2,) of the stages, s."""
    return np.sum([timed(project, ["-m", f"stages.{one}"], workers) for one in stages], axis=0)


def _plain_faces(project: Project, items: list[str]) -> list[str]:
    """MTCNN() and InceptionResnetV1() on the frames that detection samples."""
    weights = load_params(project.folder / "params.yaml").embed_faces.options["weights"]
    out, frames = project.folder / "plain.npz", write_frames(project, items)
    command = ["-m", "tools.benchmarks.extraction.plain_faces", str(frames), str(out), "--weights", str(weights)]
    return [*command, "--min-face", str(detection_settings(project).options["min_face"])]


def _plain_voices(project: Project, items: list[str]) -> list[str]:
    """The official evaluation's procedure with our network."""
    out, utterances = project.folder / "plain.npz", project.folder / "utterances.json"
    utterances.write_text(json.dumps([str(project.media / item) for item in items]))
    return ["-m", "tools.benchmarks.extraction.plain_voices", str(utterances), str(out)]


def _plain_vectors(project: Project, path: str) -> dict[tuple[str, int], np.ndarray]:
    """A vector of each (item, frame number), or of each (item, -1) of an utterance."""
    found = np.load(path)
    items = [str(Path(one).relative_to(project.media)) for one in found["path"].tolist()]
    frames = found["frame"].tolist() if "frame" in found else [-1] * len(items)
    return dict(zip(zip(items, frames, strict=True), found["vectors"], strict=True))


def _vectors(project: Project, modality: str) -> dict[tuple[str, int], np.ndarray]:
    store = project.store(modality)
    keys = zip(store.index["item"], store.index["frame"].tolist(), strict=True)
    return dict(zip(keys, store.matrix, strict=True))


def _compared(subject: Subject, precision: str, plain: Side, ours: Side, theirs: dict, mine: dict) -> Comparison:
    both = sorted(theirs.keys() & mine.keys())
    a, b = (np.stack([side[key] for key in both]).astype(np.float64) for side in (theirs, mine))
    cosines = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    only = len(theirs.keys() - mine.keys()), len(mine.keys() - theirs.keys())
    return Comparison(subject.name, len(subject.media), precision, plain, ours, len(both), *only, cosines)


_COLUMNS = (
    *("what", "media", "precision", "plain loop, whole", "stages", "ratio", "plain loop, CPU time", "stages", "ratio"),
    *("plain loop, extraction", "stages", "ratio", "vectors (only plain, only ours)", "cosine, least", "median"),
)
_HEAD = f"| {' | '.join(_COLUMNS)} |\n{'|---' * len(_COLUMNS)}|\n"


def _line(one: Comparison) -> str:
    sides = [(getattr(one.plain, part), getattr(one.ours, part)) for part in ("whole", "cpu", "extraction")]
    times = [f"{plain:.1f} s | {ours:.1f} s | {plain / ours:.2f}" for plain, ours in sides]
    vectors = f"{one.rows} ({one.only_plain}, {one.only_ours})"
    cosines = f"{one.cosines.min():.7f} | {np.median(one.cosines):.7f}"
    return f"| {one.name} | {one.media} | {one.precision} | {' | '.join(times)} | {vectors} | {cosines} |\n"


if __name__ == "__main__":
    main()
