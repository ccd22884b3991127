"""Compare: `python -m tools.benchmarks.extraction [--clips 96] [--repeats 3] [--workers 2] [--media data/demo]`.

Stages and plain loops take turns on the same clips as whole commands, so that both pay for their start. What a stage
costs when all is cached is its start; the rest is extraction. Medians over the repeats.
"""

import argparse
import json
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.config import load_params
from tests.stages.project import ROOT, Project
from tools.benchmarks.extraction.commands import (
    clips_of,
    detection_settings,
    forget_items,
    project_of,
    timed,
    utterances_of,
    write_frames,
)

_FACE_STAGES, _VOICE_STAGES = ("detect_faces", "embed_faces"), ("embed_voices",)


@dataclass(frozen=True)
class Side:
    """Wall clock of one side, s."""

    whole: float
    extraction: float  # without the start


@dataclass(frozen=True)
class Comparison:
    """Both sides on the same clips, and how far their vectors are apart."""

    name: str
    clips: int
    plain: Side
    ours: Side
    rows: int  # vectors that both have
    only_plain: int
    only_ours: int
    difference: float  # largest, of any element
    cosine: float  # smallest


def main() -> None:
    """Run both comparisons and write a table."""
    parser = argparse.ArgumentParser(prog="python -m tools.benchmarks.extraction", description=__doc__)
    parser.add_argument("--clips", type=int, default=96)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--media", type=Path, default=ROOT / "data" / "demo", help="a folder per person, mp4 in it")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        clips = clips_of(arguments.media, arguments.clips)
        sounds = utterances_of(Path(scratch) / "wav", clips)
        faces, voices = (project_of(Path(scratch) / kind, media) for kind, media in (("f", clips), ("v", sounds)))
        compared = [
            compare_faces(faces, sorted(clips), arguments.repeats, arguments.workers),
            compare_voices(voices, sorted(sounds), arguments.repeats, arguments.workers),
        ]
    sys.stdout.write(_table(compared))


def compare_faces(project: Project, items: list[str], repeats: int, workers: int) -> Comparison:
    """Detection and FaceNet against MTCNN() and InceptionResnetV1()."""
    out, frames = project.folder / "plain.npz", write_frames(project, items)
    weights = load_params(project.folder / "params.yaml").embed_faces.options["weights"]
    command = ["-m", "tools.benchmarks.extraction.plain_faces", str(frames), str(out), "--weights", str(weights)]
    command += ["--min-face", str(detection_settings(project).options["min_face"])]
    plain, ours = _in_turns(project, command, _FACE_STAGES, repeats, workers)
    found, store = np.load(out), project.store("faces")
    names = [str(Path(path).relative_to(project.media)) for path in found["path"].tolist()]
    theirs = dict(zip(zip(names, found["frame"].tolist(), strict=True), found["vectors"], strict=True))
    mine = dict(zip(zip(store.index["item"], store.index["frame"].tolist(), strict=True), store.matrix, strict=True))
    return _compared("faces", len(items), plain, ours, theirs, mine)


def compare_voices(project: Project, items: list[str], repeats: int, workers: int) -> Comparison:
    """The aggregator's stage against the official evaluation's procedure with our network."""
    out, utterances = project.folder / "plain.npz", project.folder / "utterances.json"
    utterances.write_text(json.dumps([str(project.media / item) for item in items]))
    command = ["-m", "tools.benchmarks.extraction.plain_voices", str(utterances), str(out)]
    plain, ours = _in_turns(project, command, _VOICE_STAGES, repeats, workers)
    store = project.store("voices")
    theirs = dict(zip(items, np.load(out)["vectors"], strict=True))
    return _compared(
        "voices", len(items), plain, ours, theirs, dict(zip(store.index["item"], store.matrix, strict=True))
    )


def _in_turns(
    project: Project, plain: list[str], stages: tuple[str, ...], repeats: int, workers: int
) -> tuple[Side, Side]:
    loops, starts, wholes, cached = [], [], [], []
    for _ in range(repeats):
        whole = timed(project, plain, workers)
        loops.append(float(np.load(plain[3])["seconds"]))
        starts.append(whole)
        forget_items(project)
        wholes.append(sum(timed(project, ["-m", f"stages.{stage}"], workers) for stage in stages))
        cached.append(sum(timed(project, ["-m", f"stages.{stage}"], workers) for stage in stages))
    ours = statistics.median(wholes)
    return (
        Side(statistics.median(starts), statistics.median(loops)),
        Side(ours, ours - statistics.median(cached)),
    )


def _compared(name: str, clips: int, plain: Side, ours: Side, theirs: dict, mine: dict) -> Comparison:
    both = sorted(theirs.keys() & mine.keys())
    a, b = np.stack([theirs[key] for key in both]), np.stack([mine[key] for key in both])
    difference, cosine = float(np.abs(a - b).max()), float((a * b).sum(axis=1).min())
    only = len(theirs.keys() - mine.keys()), len(mine.keys() - theirs.keys())
    return Comparison(name, clips, plain, ours, len(both), *only, difference, cosine)


def _table(compared: list[Comparison]) -> str:
    lines = ["| what | clips | plain loop, whole | stages, whole | ratio | plain, extraction | stages | ratio |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    for one in compared:
        whole, inner = one.plain.whole / one.ours.whole, one.plain.extraction / one.ours.extraction
        lines.append(
            f"| {one.name} | {one.clips} | {one.plain.whole:.1f} s | {one.ours.whole:.1f} s | {whole:.2f} "
            f"| {one.plain.extraction:.1f} s | {one.ours.extraction:.1f} s | {inner:.2f} |"
        )
    for one in compared:
        lines.append(
            f"{one.name}: {one.rows} vectors on both sides, {one.only_plain} only in the plain loop, {one.only_ours} "
            f"only in the stages; elements differ by at most {one.difference:.1e}, smallest cosine {one.cosine:.7f}"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
